// The next root on its way from person to person, with the targets that must go with it when their keys change, and the
// signatures so far. As a file it is what the service gets, and the realm's id; whoever opens one checks all of it against
// the root and the targets that are in force, so that nobody signs what the shown difference does not say.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import type { RealmId } from '../../manifest/names.ts';
import { EXCHANGE_LIMITS, encodeRootChange, parseRootChange } from '../../manifest/realm/exchange.ts';
import type { RootChange } from '../../manifest/realm/exchange.ts';
import { checkRealmRoot, nextVersion } from '../../manifest/realm/realm.ts';
import { nextRoot } from '../../manifest/realm/root-change.ts';
import type { RootKeysChange } from '../../manifest/realm/root-change.ts';
import { object, string } from '../../manifest/shape.ts';
import { checkThreshold, keyId } from '../../manifest/tuf/keys.ts';
import type { KeyId, RoleKeys, Signature } from '../../manifest/tuf/keys.ts';
import { withSignatures } from '../../manifest/tuf/metadata.ts';
import type { Unverified, Verified } from '../../manifest/tuf/metadata.ts';
import { parseRoot } from '../../manifest/tuf/root.ts';
import type { Root } from '../../manifest/tuf/root.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import type { Targets } from '../../manifest/tuf/targets.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { Identity } from '../identity/identity.ts';
import { lifetimeMs } from './session.ts';

type Part = 'root' | 'targets';

/** That many of these keys must sign a part. */
interface Demand {
  readonly part: Part;
  /** In words: who asks for it. */
  readonly by: string;
  readonly keys: RoleKeys;
}

export class RootDraft {
  readonly realm: RealmId;
  readonly before: Verified<Root>;
  readonly next: { readonly raw: JsonObject; readonly role: Root };
  readonly demands: readonly Demand[];
  readonly #signed: ReadonlyMap<Part, JsonObject>;
  readonly #signatures: Record<Part, Map<KeyId, Uint8Array>> = { root: new Map(), targets: new Map() };

  private constructor(
    realm: RealmId,
    before: Verified<Root>,
    root: Pick<RootDraft, 'next'>['next'],
    targets: JsonObject | undefined,
  ) {
    this.realm = realm;
    this.before = before;
    this.next = root;
    const { role } = root;
    this.#signed = new Map([
      ['root', root.raw] as const,
      ...(targets ? [['targets', targets] as const] : []),
    ]);
    this.demands = [
      { part: 'root', by: `root ${before.role.version}`, keys: before.role.roles.root },
      { part: 'root', by: `root ${role.version}`, keys: role.roles.root },
      ...(targets
        ? [{ part: 'targets' as const, by: `targets of root ${role.version}`, keys: role.roles.targets }]
        : []),
    ];
  }

  /** Unsigned. `now` in milliseconds since the epoch. @throws ClientError not-found: there is no targets role */
  static make(realm: RealmId, set: TrustedSet, change: RootKeysChange, now: number): RootDraft {
    const signed = nextRoot(set.root, now + lifetimeMs('root'), change);
    const { file, role } = parseRoot(withSignatures(signed, []));
    const targets = targetsIn(set);
    const isStillSigned = isSignedBy(role.roles.targets, targets);
    const again = isStillSigned ? undefined : nextVersion(targets, now + lifetimeMs('targets'), {});
    return new RootDraft(realm, set.root, { raw: file.raw, role }, again);
  }

  /** @throws ClientError root-file-malformed: damaged, of another realm, or not about the next root */
  static parse(bytes: Uint8Array, realm: RealmId, set: TrustedSet): RootDraft {
    try {
      const raw = object(parseJson(bytes, EXCHANGE_LIMITS.body), 'file');
      if (string(raw['realm'], 'realm') !== realm) throw malformed('it belongs to another realm');
      return RootDraft.#read(parseRootChange(bytes), realm, set);
    } catch (cause) {
      if (!isLapseError(cause) || cause instanceof ClientError) throw cause;
      throw malformed(cause.message, cause);
    }
  }

  static #read({ root, roles: [upload] }: RootChange, realm: RealmId, set: TrustedSet): RootDraft {
    const { file, role } = parseRoot(root);
    const { version } = set.root.role;
    if (role.version !== version + 1) {
      throw malformed(`it makes root ${role.version}, and root ${version} is in force; begin again`);
    }
    checkRealmRoot(role);
    checkKeyIds(file.raw);
    const targets = upload && parseTargets(upload.metadata).file;
    if (targets && upload.name !== 'targets') throw malformed(`it has a ${upload.name} with it`);
    if (targets) checkOnlyAgain(targets.raw, set);
    const draft = new RootDraft(realm, set.root, { raw: file.raw, role }, targets?.raw);
    draft.#take('root', file);
    if (targets) draft.#take('targets', targets);
    return draft;
  }

  /** The bytes of a file, or of the request that publishes it. */
  encode(): Uint8Array {
    return Buffer.from(`${JSON.stringify({ realm: this.realm, ...encodeRootChange(this.change()) })}\n`);
  }

  change(): RootChange {
    const bytes = (part: Part, signed: JsonObject): Uint8Array =>
      withSignatures(
        signed,
        [...this.#signatures[part]].map(([keyid, sig]) => ({ keyid, sig })),
      );
    const targets = this.#signed.get('targets');
    return {
      root: bytes('root', this.next.raw),
      roles: targets ? [{ name: 'targets', metadata: bytes('targets', targets) }] : [],
    };
  }

  /** Whether targets goes with it, signed anew. */
  get hasTargets(): boolean {
    return this.#signed.has('targets');
  }

  /** How many signatures a demand still lacks. */
  lack({ part, keys }: Demand): number {
    return Math.max(0, keys.threshold - [...keys.keys.keys()].filter((id) => this.isSigned(part, id)).length);
  }

  isSigned(part: Part, keyid: KeyId): boolean {
    return this.#signatures[part].has(keyid);
  }

  async sign(part: Part, identity: Identity): Promise<void> {
    const signed = this.#signed.get(part);
    if (!signed) return;
    this.#signatures[part].set(identity.public.keyid, await identity.sign(canonicalJson(signed)));
  }

  /** Signatures that came with a file: each by somebody who is asked, and good. */
  #take(part: Part, { signatures, canonical }: Unverified): void {
    const asked = this.demands.filter((demand) => demand.part === part);
    for (const signature of signatures) {
      if (!asked.some(({ keys }) => verifies(keys, signature, canonical))) {
        throw malformed(`a signature of ${signature.keyid.slice(0, 12)} is not good, or nobody asks for it`);
      }
      this.#signatures[part].set(signature.keyid, signature.sig);
    }
  }
}

function verifies({ keys }: RoleKeys, { keyid, sig }: Signature, canonical: Uint8Array): boolean {
  return keys.get(keyid)?.verifies(canonical, sig) ?? false;
}

function targetsIn(set: TrustedSet): Verified<Targets> {
  const targets = currentRole(set, 'targets');
  if (!targets) throw new ClientError('not-found', 'the service publishes no targets role');
  return targets;
}

function isSignedBy(keys: RoleKeys, { bytes }: Verified<Targets>): boolean {
  const { file } = parseTargets(bytes);
  try {
    checkThreshold('targets', keys, file.signatures, file.canonical);
    return true;
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return false;
  }
}

/** What is shown is the id of a key: it must be that key's. */
function checkKeyIds(root: JsonObject): void {
  for (const [id, key] of Object.entries(object(root['keys'], 'root.keys'))) {
    if (keyId(object(key, id)) !== id) throw malformed(`${id.slice(0, 12)} is not the id of its key`);
  }
}

/** Targets goes along to be signed by others, and for nothing else. */
function checkOnlyAgain(raw: JsonObject, set: TrustedSet): void {
  const current = targetsIn(set);
  const same = { ...raw, version: current.role.version, expires: current.raw['expires'] ?? '' };
  const isNext = raw['version'] === current.role.version + 1;
  if (isNext && Buffer.compare(canonicalJson(same), canonicalJson(current.raw)) === 0) return;
  throw malformed('its targets is not the present one, signed again; begin again');
}

function malformed(why: string, cause?: unknown): ClientError {
  return new ClientError('root-file-malformed', `this file cannot become the next root: ${why}`, { cause });
}
