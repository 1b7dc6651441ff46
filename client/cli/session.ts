// One run of the command against one realm: the verified state, the identities as they are needed, and the one way in which
// the realm changes: edit, sign with everybody who is at hand, publish; refreshed and tried again when somebody else was
// faster, which the service notices. Several roles change in one publish, or none of them. Where too few are at hand, what
// they signed is handed to the service, to wait for the others.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import type { Namespace, SecretName } from '../../manifest/names.ts';
import type { Fleet } from '../../manifest/realm/fleet.ts';
import { DRILL } from '../../manifest/realm/drill/order.ts';
import { recipientsOf } from '../../manifest/realm/fleet.ts';
import type { Publish, Published, RoleUpload, ServiceMoment } from '../../manifest/realm/exchange.ts';
import type { Policy } from '../../manifest/realm/policy.ts';
import type { AppliedRole } from '../../manifest/realm/receipt.ts';
import { FLEET, FLEET_HOSTS, delegatorOf, firstTargets, nextVersion } from '../../manifest/realm/realm.ts';
import { importRecipient } from '../../manifest/realm/recipient.ts';
import type { ImportedRecipient, Recipient } from '../../manifest/realm/recipient.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { object } from '../../manifest/shape.ts';
import type { RoleKeys } from '../../manifest/tuf/keys.ts';
import { sha256, withSignatures } from '../../manifest/tuf/metadata.ts';
import type { Verified } from '../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import type { Targets } from '../../manifest/tuf/targets.ts';
import { currentRole, currentSnapshot, roleKeys } from '../../manifest/tuf/trusted-set.ts';
import type { Clock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import type { Identity } from '../identity/identity.ts';
import type { RealmState, Secrets } from '../reading.ts';
import { httpTransport } from '../transport.ts';
import type { Transport } from '../transport.ts';
import { TrustStore } from '../trust-store.ts';
import { Updater } from '../updater.ts';
import type { Context } from './command.ts';
import type { Identities } from './identities.ts';
import type { RealmDirectory } from './realm-directory.ts';
import type { Stopwatch } from './stopwatch.ts';

const DAY_MS = 24 * 3600_000;
const ATTEMPTS = 5;
/** How long a signature is good, in days: who may do what is signed rarely, by keys that are kept apart. */
const DAYS = { delegating: 365, namespace: 30 } as const;
const DELEGATING: ReadonlySet<string> = new Set(['root', 'targets', FLEET, FLEET_HOSTS]);

/** How long a signature of a role is good, in milliseconds; half of it is when to sign again. */
export function lifetimeMs(role: string): number {
  return DAYS[DELEGATING.has(role) ? 'delegating' : 'namespace'] * DAY_MS;
}

/** What becomes of one role: the signed members that change. */
export interface RoleEdit {
  readonly role: string;
  readonly change: JsonObject;
}

/** What a command makes of the realm: roles, each after the one that delegates to it, and the files that they newly list. */
export interface Edit {
  readonly roles: readonly RoleEdit[];
  readonly files: readonly Uint8Array[];
}

/** What was published, and is durable at the service. */
export interface Publication {
  readonly roles: ReadonlyMap<string, AppliedRole>;
  readonly timestamp: number;
}

/** And when the service had it, by the service's clock. */
export interface Committed extends Publication {
  readonly commit: ServiceMoment;
}

interface Draft extends RoleUpload {
  readonly version: number;
}

/** Who signs a role here. */
interface Signers {
  readonly identities: readonly Identity[];
  /** That they are too few, in words. */
  readonly lack: string | undefined;
}

export class Session {
  readonly directory: RealmDirectory;
  readonly transport: Transport;
  readonly updater: Updater;
  readonly clock: Clock;
  readonly identities: Identities;
  readonly #imported = new Map<string, Promise<ImportedRecipient>>();
  /** Whoever can sign for a role, as long as its keys are the same. */
  readonly #signers = new Map<RoleKeys, Promise<Signers>>();

  private constructor({ directory, clock, identities }: Context, transport: Transport, updater: Updater) {
    this.directory = directory;
    this.transport = transport;
    this.updater = updater;
    this.clock = clock;
    this.identities = identities;
  }

  /** `expired`: what has expired is taken all the same, though how new it is cannot be told; only to be signed again. */
  static async open(context: Context, { expired = false } = {}): Promise<Session> {
    const { directory, clock } = context;
    const { service, pin } = await directory.config();
    const transport = httpTransport({ url: service, pin }, clock);
    const store = directory.file('trust');
    const updater = await Updater.open({
      anchor: await directory.anchor(),
      storeFor: (realm) => new TrustStore(store, realm),
      transport,
      clock: expired ? { ...clock, now: () => 0 } : clock,
    });
    const session = new Session(context, transport, updater);
    await session.refresh();
    return session;
  }

  /** Verified, and as new as the last refresh. */
  get state(): RealmState {
    return this.updater.state;
  }

  async refresh(): Promise<void> {
    await this.updater.refresh();
    await this.updater.persist();
  }

  /** @throws LapseError why the fleet does not verify */
  get fleet(): Fleet {
    const failure = this.state.failures.get(FLEET);
    if (failure) throw failure;
    if (this.state.fleet) return this.state.fleet;
    throw new ClientError('not-found', 'the service publishes no fleet');
  }

  /** Whom a new version in this namespace is encrypted to, now. */
  recipients(policy: Policy): Promise<readonly ImportedRecipient[]> {
    return Promise.all(recipientsOf(this.fleet, policy).map((recipient) => this.#import(recipient)));
  }

  /**
   * Unlocks whoever signs for a role, so that nobody is asked once the time is taken.
   * @throws ClientError signatures-missing: nobody of a role is at hand
   */
  async ready(...roles: readonly string[]): Promise<void> {
    for (const role of roles) await this.signers(role);
  }

  /** Whoever signs a role here. @throws ClientError signatures-missing: nobody is at hand */
  async signers(role: string): Promise<readonly Identity[]> {
    return (await this.#signersOf(role, roleKeys(this.state.set, role, delegatorOf(role)))).identities;
  }

  /** The same for a change that cannot wait for others, and `why`. @throws ClientError signatures-missing */
  async readyAlone(role: string, why: string): Promise<void> {
    const { lack } = await this.#signersOf(role, roleKeys(this.state.set, role, delegatorOf(role)));
    if (lack !== undefined) throw new ClientError('signatures-missing', `${lack}; ${why}`);
  }

  /**
   * Publishes a change of one or several roles; it is durable at the service when this returns, and not verified again
   * here: see `refresh`. `edit` may run several times, each time against a newer verified state.
   * @throws ClientError signatures-missing: nobody of a role is at hand, or it waits for others; and what the service answers
   */
  async publish(watch: Stopwatch, edit: (state: RealmState) => Edit | Promise<Edit>): Promise<Committed> {
    for (let attempt = 1; ; attempt++) {
      const { roles, files } = await edit(this.state);
      const { drafts, lack } = await this.#sign(roles);
      watch.lap('sign');
      try {
        if (lack.length > 0) return await this.#propose({ roles: drafts, files }, lack);
        const { timestamp, at, boot } = await this.transport.publish({ roles: drafts, files });
        watch.lap('publish');
        const published = drafts.map(({ name, version, metadata }): [string, AppliedRole] => [
          name,
          { version, sha256: sha256(metadata) },
        ]);
        return { roles: new Map(published), timestamp, commit: { at, boot } };
      } catch (error) {
        if (!isLost(error) || attempt === ATTEMPTS) throw error;
        await this.updater.refresh();
        watch.lap('refresh');
      }
    }
  }

  /** What the service made of a change that others signed, too: verified, since only it knows the files. */
  async published({ roles, timestamp, at, boot }: Published): Promise<Committed> {
    await this.refresh();
    const applied = [...roles.keys()].flatMap((name): [string, AppliedRole][] => {
      const current = currentRole(this.state.set, name);
      return current ? [[name, { version: current.role.version, sha256: current.sha256 }]] : [];
    });
    return { roles: new Map(applied), timestamp, commit: { at, boot } };
  }

  /** @throws ClientError signatures-missing, unless others had signed the same */
  async #propose(publish: Publish, lack: readonly string[]): Promise<Committed> {
    const proposed = await this.transport.propose(publish);
    if ('published' in proposed) return this.published(proposed.published);
    throw stillPending(proposed.id, lack.join('; '));
  }

  async #sign(edits: readonly RoleEdit[]): Promise<{ drafts: readonly Draft[]; lack: readonly string[] }> {
    const drafts: Draft[] = [];
    const lack: string[] = [];
    const delegations = new Map<string, Targets['delegations']>();
    for (const { role, change } of edits) {
      const keys =
        delegations.get(delegatorOf(role))?.get(role) ?? roleKeys(this.state.set, role, delegatorOf(role));
      const signed = this.#next(role, change);
      const signers = await this.#signersOf(role, keys);
      if (signers.lack !== undefined) lack.push(signers.lack);
      const metadata = await signedBy(signers.identities, signed);
      delegations.set(
        role,
        change['delegations'] === undefined ? new Map() : parseTargets(metadata).role.delegations,
      );
      drafts.push({ name: role, metadata, version: signed['version'] as number });
    }
    return { drafts, lack };
  }

  /** @throws LapseError why the version before it does not verify: nobody signs on top of that */
  #next(role: string, change: JsonObject): JsonObject {
    const { set, failures } = this.state;
    const current = currentRole(set, role);
    const expires = this.clock.now() + lifetimeMs(role);
    if (current) return nextVersion(current, expires, change);
    const failure = failures.get(role);
    if (failure) throw failure;
    if (currentSnapshot(set)?.role.roles.has(role))
      throw new ClientError('not-found', `${role} is not verified here`);
    return { ...firstTargets(expires), ...change };
  }

  #signersOf(role: string, keys: RoleKeys): Promise<Signers> {
    const known = this.#signers.get(keys);
    if (known) return known;
    const found = this.#unlock(role, keys);
    this.#signers.set(keys, found);
    found.catch(() => this.#signers.delete(keys));
    return found;
  }

  /** Everybody who is unlocked already, and as many more as the threshold needs. */
  async #unlock(role: string, { keys, threshold }: RoleKeys): Promise<Signers> {
    const known = await this.identities.among(keys.keys());
    const missing = [...keys.keys()].filter((keyid) => !known.some((one) => one.keyid === keyid));
    const whose = missing.map((keyid) => keyid.slice(0, 12)).join(', ');
    const lack = `${role} needs ${threshold} of its ${keys.size} keys to sign, ${known.length} at hand; missing: ${whose}`;
    if (known.length === 0) throw new ClientError('signatures-missing', lack);
    const identities = await this.identities.openSome(known, threshold);
    return { identities, lack: known.length < threshold ? lack : undefined };
  }

  #import(recipient: Recipient): Promise<ImportedRecipient> {
    const key = `${recipient.kid} ${recipient.epoch}`;
    const imported = this.#imported.get(key) ?? importRecipient(recipient);
    this.#imported.set(key, imported);
    return imported;
  }
}

/** A change that waits at the service for signatures of others: exit code 4. */
export function stillPending(id: string, lack: string): ClientError {
  const short = shortId(id);
  return new ClientError(
    'signatures-missing',
    `${lack}. The change waits for them, 7 days at most: lapse sign ${short}`,
    { pending: id },
  );
}

/** As much of a pending change's id as people are shown. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** A role's file, signed by each of them. */
async function signedBy(signers: readonly Identity[], signed: JsonObject): Promise<Uint8Array> {
  const canonical = canonicalJson(signed);
  return withSignatures(
    signed,
    await Promise.all(
      signers.map(async (signer) => ({ keyid: signer.public.keyid, sig: await signer.sign(canonical) })),
    ),
  );
}

/** Somebody else was faster, or a revoker was. */
function isLost(error: unknown): boolean {
  return (
    error instanceof ClientError && (error.code === 'service-conflict' || error.reason === 'floor-behind')
  );
}

/** Roles that do not verify are named wherever the others are listed. */
export function failureLines(state: RealmState): readonly string[] {
  return [
    ...[...state.failures].map(([role, error]) => `${role} DOES NOT VERIFY: ${error.message}`),
    ...state.alarms.map((alarm) => `ALARM: ${alarm.message}`),
  ];
}

export function failuresJson(state: RealmState): readonly JsonObject[] {
  return [...state.failures].map(([role, { code, message }]) => ({ role, code, message }));
}

/** @throws ClientError namespace-unknown, or why the namespace does not verify */
export function secretsOf(state: RealmState, namespace: Namespace): Secrets {
  const failure = state.failures.get(namespace);
  if (failure) throw failure;
  const secrets = state.secrets.get(namespace);
  if (!secrets) {
    const advice = namespace === DRILL ? 'lapse drill enable' : `lapse namespace add ${namespace}`;
    throw new ClientError('namespace-unknown', `there is no namespace ${namespace}; run: ${advice}`);
  }
  return secrets;
}

/** @throws ClientError namespace-unknown */
export function policyOf(state: RealmState, namespace: Namespace): Policy {
  secretsOf(state, namespace);
  const policy = state.policies.get(namespace)?.policy;
  if (policy) return policy;
  throw new ClientError('namespace-unknown', `there is no namespace ${namespace}`);
}

/** @throws ClientError secret-unknown */
export function secretOf(secrets: Secrets, namespace: Namespace, name: SecretName): Secret {
  const secret = secrets.get(name);
  if (!secret) {
    const advice = `run: lapse secret list ${namespace}`;
    throw new ClientError('secret-unknown', `there is no secret ${namespace}/${name}; ${advice}`);
  }
  return secret;
}

/** @throws ClientError not-found */
export function roleOf({ set }: RealmState, name: string): Verified<Targets> {
  const role = currentRole(set, name);
  if (role) return role;
  throw new ClientError('not-found', `the service publishes no ${name} that is verified here`);
}

/** The signed `targets` of a role; empty before its first version. */
export function targetsOf(state: RealmState, role: string): JsonObject {
  const current = currentRole(state.set, role);
  return current ? object(current.raw['targets'], 'targets') : {};
}
