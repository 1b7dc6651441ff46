// A realm for tests: real keys, a real genesis, and publishes with real envelopes that a daemon could decrypt. It
// plays every author (root, targets, each namespace) and remembers what it last built, as their machines would.
// Nothing is sent from here: the caller publishes, and hostile tests alter a draft first.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '../../manifest/json.ts';
import { parseNamespace, parseSecretName } from '../../manifest/names.ts';
import type { RealmId } from '../../manifest/names.ts';
import { addVersion, revokeThrough } from '../../manifest/realm/change.ts';
import { sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { Genesis, OnlineKeys, Publish } from '../../manifest/realm/exchange.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { importRecipient, thumbprint, wrapKey } from '../../manifest/realm/key-wrap.ts';
import type { Recipient, RecipientKey } from '../../manifest/realm/key-wrap.ts';
import { delegate, firstRoot, firstTargets, nextVersion, realmId } from '../../manifest/realm/realm.ts';
import { readSecrets } from '../../manifest/realm/secret.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { object } from '../../manifest/shape.ts';
import { ed25519KeyJson, keyId } from '../../manifest/tuf/keys.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import type { Signer, Verified } from '../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import type { Targets } from '../../manifest/tuf/targets.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';

export interface TestSigner extends Signer {
  readonly publicHex: string;
}

export interface TestPool extends Recipient {
  /** What the pool's hosts hold. */
  readonly privateKey: KeyObject;
}

export interface PutOptions {
  readonly value?: Uint8Array;
  readonly grants?: readonly Grant[];
  readonly overlapSeconds?: number;
}

const DAY = 24 * 3600_000;

export function makeSigner(): TestSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicHex = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
  return {
    publicHex,
    keyid: keyId(ed25519KeyJson(publicHex)),
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}

export async function makePool(epoch = 1): Promise<TestPool> {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const key: RecipientKey = { kty: 'OKP', crv: 'X25519', x };
  return { kid: await thumbprint(key), epoch, key, privateKey };
}

export class TestRealm {
  readonly genesis: Genesis;
  readonly id: RealmId;
  readonly pool: TestPool;
  readonly #signers = new Map<string, TestSigner>();
  /** What each role's author built last. */
  readonly #roles = new Map<string, Verified<Targets>>();
  readonly #now: number;

  private constructor(genesis: Genesis, pool: TestPool, targets: TestSigner, now: number) {
    this.genesis = genesis;
    this.id = realmId(trustRoot(genesis.root).root);
    this.pool = pool;
    this.#now = now;
    this.#signers.set('targets', targets);
    this.#remember('targets', genesis.targets);
  }

  /** `online` as `GET /v1/online-keys` tells; `now` in milliseconds since the epoch. */
  static async make(online: OnlineKeys, { now = Date.now(), lease = 600 } = {}): Promise<TestRealm> {
    const root = makeSigner();
    const targets = makeSigner();
    const keys = { root: root.publicHex, targets: targets.publicHex, ...online };
    const genesis = {
      root: signMetadata(firstRoot(keys, now + 365 * DAY), [root]),
      targets: signMetadata(firstTargets(now + 90 * DAY), [targets]),
      lease,
    };
    return new TestRealm(genesis, await makePool(), targets, now);
  }

  /** The next version of `targets`, with one more namespace. */
  delegate(namespace: string): Publish {
    const signer = makeSigner();
    this.#signers.set(namespace, signer);
    const delegations = delegate(this.role('targets'), parseNamespace(namespace), signer.publicHex);
    return this.adopt(this.draft('targets', { delegations }));
  }

  /** The next version of a secret: envelope, wrapped key, namespace role. */
  async put(namespace: string, name: string, options: PutOptions = {}): Promise<Publish> {
    const { value = randomBytes(32), grants = [], overlapSeconds = 300 } = options;
    const secret = this.secret(namespace, name);
    const of = { namespace: parseNamespace(namespace), name: parseSecretName(name), secret };
    const version = (secret?.newestVersion ?? 0) + 1;
    const context = { realm: this.id, namespace: of.namespace, name: of.name, version };
    const dataKey = randomBytes(32);
    const envelope = sealEnvelope(value, dataKey, randomBytes(24), context);
    const next = {
      version,
      length: envelope.length,
      sha256: sha256(envelope),
      keys: [await wrapKey(dataKey, await importRecipient(this.pool), context)],
      grants,
      overlapSeconds,
    };
    const targets = addVersion(this.targets(namespace), of, next, this.#now);
    return this.adopt(this.draft(namespace, { targets }, { envelopes: [envelope] }));
  }

  /** The namespace role that takes back every version of a secret up to `through`. */
  revoke(namespace: string, name: string, through: number): Publish {
    const secret = this.secret(namespace, name);
    if (!secret) throw new Error(`${namespace}/${name} was never put`);
    const targets = revokeThrough(this.targets(namespace), secret, through, this.#now);
    return this.adopt(this.draft(namespace, { targets }));
  }

  /** A role's next version with some signed members replaced. It is not remembered until `adopt`. */
  draft(
    name: string,
    change: JsonObject,
    { signer = this.#signer(name), envelopes = [] as readonly Uint8Array[] } = {},
  ): Publish {
    const old = this.#roles.get(name);
    const expires = this.#now + 30 * DAY;
    const signed = old ? nextVersion(old, expires, change) : { ...firstTargets(expires), ...change };
    return { role: name, metadata: signMetadata(signed, [signer]), envelopes };
  }

  /** Remembers a publish as the role's newest version. */
  adopt(publish: Publish): Publish {
    this.#remember(publish.role, publish.metadata);
    return publish;
  }

  /** A role as last adopted. */
  role(name: string): Verified<Targets> {
    const role = this.#roles.get(name);
    if (!role) throw new Error(`${name} was never built`);
    return role;
  }

  /** A role's `targets` member as last adopted; empty before its first version. */
  targets(name: string): JsonObject {
    const old = this.#roles.get(name);
    return old ? object(old.raw['targets'], 'targets') : {};
  }

  secret(namespace: string, name: string): Secret | undefined {
    const old = this.#roles.get(namespace);
    return old && readSecrets(old.role, parseNamespace(namespace)).get(parseSecretName(name));
  }

  #signer(name: string): TestSigner {
    const signer = this.#signers.get(name);
    if (!signer) throw new Error(`${name} was never delegated`);
    return signer;
  }

  #remember(name: string, bytes: Uint8Array): void {
    const { file, role } = parseTargets(bytes);
    this.#roles.set(name, { bytes, sha256: sha256(bytes), raw: file.raw, role });
  }
}
