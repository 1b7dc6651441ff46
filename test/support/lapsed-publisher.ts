// Changes many secrets of a namespace in one version of it, which the operator's command never does; and from this process,
// so that a hundred changes take no hundred processes. Each resolves when the service has it.
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../client/clock.ts';
import { RealmDirectory } from '../../client/cli/realm-directory.ts';
import { mergeGrants } from '../../client/cli/new-version.ts';
import { NAMESPACE_DAYS, Session } from '../../client/cli/session.ts';
import { fileSigner, readKeyFile } from '../../client/key-file.ts';
import type { Places } from '../../demo/programs.ts';
import type { JsonObject } from '../../manifest/json.ts';
import {
  parseFileName,
  parseNamespace,
  parseSecretName,
  parseWorkload,
  targetPath,
} from '../../manifest/names.ts';
import type { Namespace, TargetPath } from '../../manifest/names.ts';
import { addVersion, revokeThrough, revokeVersion, setGrants } from '../../manifest/realm/change.ts';
import { sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { wrapKey } from '../../manifest/realm/key-wrap.ts';
import { firstTargets, nextVersion } from '../../manifest/realm/realm.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { object } from '../../manifest/shape.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';

const clock = systemClock();
const DAY_MS = 24 * 3600_000;

export class Publisher {
  readonly #session: Session;
  readonly #namespace: Namespace;

  private constructor(session: Session, namespace: Namespace) {
    this.#session = session;
    this.#namespace = namespace;
  }

  static async open(places: Places, namespace = 'payments'): Promise<Publisher> {
    const session = await Session.open(new RealmDirectory(places.operator), clock);
    return new Publisher(session, parseNamespace(namespace));
  }

  /** The next version of each, 64 at most; a secret that is new is granted to `workload`. */
  async put(values: ReadonlyMap<string, string>, workload: string): Promise<readonly TargetPath[]> {
    const paths: TargetPath[] = [];
    const envelopes: Uint8Array[] = [];
    await this.#publish(envelopes, async (targets, secrets) => {
      const next = [...values].map(([text, value]) => this.#seal(text, value, secrets.get(text), workload));
      let edited = targets;
      for (const { of, version, envelope } of await Promise.all(next)) {
        envelopes.push(envelope);
        paths.push(targetPath(this.#namespace, of.name, version.version));
        edited = addVersion(edited, of, version, clock.now());
      }
      return edited;
    });
    return paths;
  }

  /** Lets workloads read each, as a file of its own name. */
  grant(names: readonly string[], ...workloads: readonly string[]): Promise<void> {
    return this.#edit(names, (targets, secret) => {
      const added = workloads.map((workload) => rootOnly(workload, secret.name));
      return setGrants(targets, secret, mergeGrants(secret.grants, added));
    });
  }

  withdraw(names: readonly string[], workload: string): Promise<void> {
    return this.#edit(names, (targets, secret) =>
      setGrants(
        targets,
        secret,
        secret.grants.filter((grant) => grant.workload !== workload),
      ),
    );
  }

  /** Made ready at once, and sent when `when` resolves. */
  revoke(names: readonly string[], when: Promise<unknown> = Promise.resolve()): Promise<void> {
    const now = clock.now();
    return this.#edit(
      names,
      (targets, secret) => revokeThrough(targets, secret, secret.newestVersion, now),
      when,
    );
  }

  /** The newest version alone: the one before has the name again. */
  takeBack(names: readonly string[]): Promise<void> {
    return this.#edit(names, (targets, secret) =>
      revokeVersion(targets, secret, secret.newestVersion, clock.now()),
    );
  }

  #edit(
    names: readonly string[],
    change: (targets: JsonObject, secret: Secret) => JsonObject,
    when: Promise<unknown> = Promise.resolve(),
  ): Promise<void> {
    return this.#publish([], async (targets, secrets) => {
      let edited = targets;
      for (const name of names) edited = change(edited, must(secrets.get(name), name));
      await when;
      return edited;
    });
  }

  /** On top of what others have published meanwhile. */
  async #publish(
    envelopes: readonly Uint8Array[],
    edit: (targets: JsonObject, secrets: ReadonlyMap<string, Secret>) => Promise<JsonObject>,
  ): Promise<void> {
    const { directory, transport, updater } = this.#session;
    const { set, secrets } = await updater.refresh();
    const role = currentRole(set, this.#namespace);
    const edited = await edit(
      object(role?.raw['targets'] ?? {}, 'targets'),
      secrets.get(this.#namespace) ?? new Map<string, Secret>(),
    );
    const expires = clock.now() + NAMESPACE_DAYS * DAY_MS;
    const signed = role
      ? nextVersion(role, expires, { targets: edited })
      : { ...firstTargets(expires), targets: edited };
    const signer = fileSigner(await readKeyFile(directory.file('keys', 'operator.ed25519'), 'ed25519'));
    await transport.publish({ role: this.#namespace, metadata: signMetadata(signed, [signer]), envelopes });
  }

  async #seal(text: string, value: string, secret: Secret | undefined, workload: string) {
    const namespace = this.#namespace;
    const of = { namespace, name: parseSecretName(text), secret };
    const version = (secret?.newestVersion ?? 0) + 1;
    const context = { realm: this.#session.updater.realm, namespace, name: of.name, version };
    const dataKey = randomBytes(32);
    const envelope = sealEnvelope(Buffer.from(value), dataKey, randomBytes(24), context);
    const wrapped = this.#session.recipients.map((recipient) => wrapKey(dataKey, recipient, context));
    const next = {
      version,
      length: envelope.length,
      sha256: sha256(envelope),
      keys: await Promise.all(wrapped),
      grants: secret?.grants ?? [rootOnly(workload, text)],
      overlapSeconds: secret?.overlapSeconds ?? 300,
    };
    return { of, version: next, envelope };
  }
}

function rootOnly(workload: string, file: string): Grant {
  return { workload: parseWorkload(workload), file: parseFileName(file), uid: 0, gid: 0, mode: 0o400 };
}

function must(secret: Secret | undefined, name: string): Secret {
  if (secret) return secret;
  throw new Error(`there is no secret ${name}`);
}
