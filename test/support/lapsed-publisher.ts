// Changes many secrets of a namespace in one version of it, which the operator's command never does; and from this process,
// so that a hundred changes take no hundred processes. Each resolves when the service has it.
import { systemClock } from '../../client/clock.ts';
import { Identities } from '../../client/cli/identities.ts';
import { mergeGrants, sealVersion } from '../../client/cli/new-version.ts';
import { Output } from '../../client/cli/output.ts';
import { Passphrases } from '../../client/cli/passphrase.ts';
import { RealmDirectory } from '../../client/cli/realm-directory.ts';
import { Session, policyOf, secretsOf, targetsOf } from '../../client/cli/session.ts';
import { Stopwatch } from '../../client/cli/stopwatch.ts';
import type { Places } from '../../demo/programs.ts';
import type { JsonObject } from '../../manifest/json.ts';
import {
  parseFileName,
  parseNamespace,
  parseSecretName,
  parseWorkload,
  targetPath,
} from '../../manifest/names.ts';
import type { Namespace, SecretName, TargetPath } from '../../manifest/names.ts';
import { addVersion, revokeThrough, revokeVersion, setGrants } from '../../manifest/realm/change.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import type { ImportedRecipient } from '../../manifest/realm/recipient.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';

type Secrets = ReadonlyMap<SecretName, Secret>;

const clock = systemClock();

export class Publisher {
  readonly #session: Session;
  readonly #namespace: Namespace;

  private constructor(session: Session, namespace: Namespace) {
    this.#session = session;
    this.#namespace = namespace;
  }

  static async open(places: Places, namespace = 'payments'): Promise<Publisher> {
    const directory = new RealmDirectory(places.operator);
    const identities = new Identities(directory, [], new Passphrases(undefined, clock), clock);
    const { signal } = new AbortController();
    const output = new Output(true);
    const session = await Session.open({
      clock,
      unbroken: clock,
      output,
      directory,
      identities,
      input: 'command',
      signal,
    });
    return new Publisher(session, parseNamespace(namespace));
  }

  /** The next version of each, 64 at most; a secret that is new is granted to `workload`. */
  async put(values: ReadonlyMap<string, string>, workload: string): Promise<readonly TargetPath[]> {
    const paths: TargetPath[] = [];
    const files: Uint8Array[] = [];
    await this.#publish(async (targets, secrets) => {
      const recipients = await this.#session.recipients(policyOf(this.#session.state, this.#namespace));
      const next = [...values].map(([text, value]) => {
        const name = parseSecretName(text);
        return this.#seal(name, value, secrets.get(name), workload, recipients);
      });
      let edited = targets;
      for (const { of, version, envelope } of await Promise.all(next)) {
        files.push(envelope);
        paths.push(targetPath(this.#namespace, of.name, version.version));
        edited = addVersion(edited, of, version, clock.now());
      }
      return { targets: edited, files };
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
    return this.#publish(async (targets, secrets) => {
      let edited = targets;
      for (const name of names) edited = change(edited, must(secrets.get(parseSecretName(name)), name));
      await when;
      return { targets: edited, files: [] };
    });
  }

  /** On top of what others have published meanwhile. */
  async #publish(edit: (targets: JsonObject, secrets: Secrets) => Promise<Edited>): Promise<void> {
    const role = this.#namespace;
    await this.#session.updater.refresh();
    await this.#session.publish(new Stopwatch(clock), async (state) => {
      const { targets, files } = await edit(targetsOf(state, role), secretsOf(state, role));
      return { roles: [{ role, change: { targets } }], files };
    });
  }

  async #seal(
    name: SecretName,
    value: string,
    secret: Secret | undefined,
    workload: string,
    recipients: readonly ImportedRecipient[],
  ) {
    const namespace = this.#namespace;
    const version = (secret?.newestVersion ?? 0) + 1;
    const context = { realm: this.#session.updater.realm, namespace, name, version };
    const { envelope, keys } = await sealVersion(Buffer.from(value), context, recipients);
    const next = {
      version,
      length: envelope.length,
      sha256: sha256(envelope),
      keys,
      grants: secret?.grants ?? [rootOnly(workload, name)],
      overlapSeconds: secret?.overlapSeconds ?? 300,
      whenStale: secret?.whenStale ?? 'deny',
    };
    return { of: { namespace, name, secret }, version: next, envelope };
  }
}

interface Edited {
  readonly targets: JsonObject;
  readonly files: readonly Uint8Array[];
}

function rootOnly(workload: string, file: string): Grant {
  return { workload: parseWorkload(workload), file: parseFileName(file), uid: 0, gid: 0, mode: 0o400 };
}

function must(secret: Secret | undefined, name: string): Secret {
  if (secret) return secret;
  throw new Error(`there is no secret ${name}`);
}
