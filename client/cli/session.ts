// One run of the command against one realm: the directory, the verified state, the keys as they are needed. And
// the one way in which a namespace changes: edit, sign, publish; refreshed and tried again when another operator was
// faster, which the service notices.
import type { JsonObject } from '../../manifest/json.ts';
import type { Namespace, SecretName } from '../../manifest/names.ts';
import { importRecipient } from '../../manifest/realm/key-wrap.ts';
import type { ImportedRecipient } from '../../manifest/realm/key-wrap.ts';
import { firstTargets, nextVersion } from '../../manifest/realm/realm.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import type { Published } from '../../manifest/realm/exchange.ts';
import { object } from '../../manifest/shape.ts';
import { signMetadata } from '../../manifest/tuf/metadata.ts';
import type { Verified } from '../../manifest/tuf/metadata.ts';
import type { Targets } from '../../manifest/tuf/targets.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import type { Clock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { httpTransport } from '../transport.ts';
import type { Transport } from '../transport.ts';
import { TrustStore } from '../trust-store.ts';
import { Updater } from '../updater.ts';
import type { RealmState, Secrets } from '../updater.ts';
import { fileSigner, readKeyFile } from '../key-file.ts';
import type { RealmDirectory } from './realm-directory.ts';
import type { Stopwatch } from './stopwatch.ts';

/** How long a namespace's signature is good; `status` warns at half of it. */
export const NAMESPACE_DAYS = 30;
const DAY_MS = 24 * 3600_000;
const ATTEMPTS = 5;

/** What a command makes of a namespace: its next `targets`, and the envelopes that it newly lists. */
export interface Edit {
  readonly targets: JsonObject;
  readonly envelopes: readonly Uint8Array[];
}

export class Session {
  readonly directory: RealmDirectory;
  /** Who can decrypt what is put: the pool's hosts and the custodian. */
  readonly recipients: readonly ImportedRecipient[];
  readonly transport: Transport;
  readonly updater: Updater;
  readonly clock: Clock;

  private constructor(
    directory: RealmDirectory,
    recipients: readonly ImportedRecipient[],
    transport: Transport,
    updater: Updater,
    clock: Clock,
  ) {
    this.directory = directory;
    this.recipients = recipients;
    this.transport = transport;
    this.updater = updater;
    this.clock = clock;
  }

  static async open(directory: RealmDirectory, clock: Clock): Promise<Session> {
    const { service, pool, custodian } = await directory.config();
    const recipients = await Promise.all([pool, custodian].map(importRecipient));
    const transport = httpTransport(service, clock);
    const store = directory.file('trust');
    const updater = await Updater.open(
      await directory.anchor(),
      (realm) => new TrustStore(store, realm),
      transport,
      clock,
    );
    const session = new Session(directory, recipients, transport, updater, clock);
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

  /**
   * Publishes a change of a namespace; it is durable at the service, and saved here, when this returns.
   * `edit` may run several times: each time against a newer verified state.
   */
  async publish(
    namespace: Namespace,
    watch: Stopwatch,
    edit: (targets: JsonObject, secrets: Secrets) => Edit | Promise<Edit>,
  ): Promise<Published> {
    const signer = fileSigner(await readKeyFile(this.directory.file('keys', 'operator.ed25519'), 'ed25519'));
    for (let attempt = 1; ; attempt++) {
      const role = currentRole(this.state.set, namespace);
      const { targets, envelopes } = await edit(readTargets(role), secretsOf(this.state, namespace));
      const expires = this.clock.now() + NAMESPACE_DAYS * DAY_MS;
      const signed = role ? nextVersion(role, expires, { targets }) : { ...firstTargets(expires), targets };
      const metadata = signMetadata(signed, [signer]);
      watch.lap('sign');
      try {
        const published = await this.transport.publish({ role: namespace, metadata, envelopes });
        watch.lap('publish');
        await this.refresh();
        return published;
      } catch (error) {
        const lost = error instanceof ClientError && error.code === 'service-conflict';
        if (!lost || attempt === ATTEMPTS) throw error;
        await this.updater.refresh();
        watch.lap('refresh');
      }
    }
  }
}

/** Namespaces that do not verify are named wherever the others are listed. */
export function failureLines(state: RealmState): readonly string[] {
  return [...state.failures].map(([namespace, error]) => `${namespace} DOES NOT VERIFY: ${error.message}`);
}

export function failuresJson(state: RealmState): readonly JsonObject[] {
  return [...state.failures].map(([namespace, { code, message }]) => ({ namespace, code, message }));
}

/** @throws ClientError namespace-unknown, or why the namespace does not verify */
export function secretsOf(state: RealmState, namespace: Namespace): Secrets {
  const failure = state.failures.get(namespace);
  if (failure) throw failure;
  const secrets = state.secrets.get(namespace);
  if (!secrets) {
    const advice = `run: lapse namespace add ${namespace}`;
    throw new ClientError('namespace-unknown', `there is no namespace ${namespace}; ${advice}`);
  }
  return secrets;
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

function readTargets(role: Verified<Targets> | undefined): JsonObject {
  return role ? object(role.raw['targets'], 'targets') : {};
}
