// An operator's directory: which realm, which service, to whom values are encrypted, and the private keys.
//
//   realm.json            the service, the lease, the pool's and the custodian's public keys
//   root.json             root 1, the anchor that hosts get too
//   keys/root.ed25519     signs root and targets: move it offline when the namespaces are set up
//   keys/operator.ed25519 signs namespaces     keys/operator.x25519 decrypts, as custodian
//   pools/default.x25519  for the hosts of the pool, and nobody else
//   trust/                verified metadata
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import type { Json, JsonObject } from '../../manifest/json.ts';
import { LIMITS } from '../../manifest/limits.ts';
import type { Recipient } from '../../manifest/realm/key-wrap.ts';
import { integer, object, string } from '../../manifest/shape.ts';
import { ClientError } from '../errors.ts';

export interface RealmConfig {
  readonly service: string;
  /** Who can decrypt what is put: the pool of hosts, and the custodian. */
  readonly pool: Recipient;
  readonly custodian: Recipient;
}

export class RealmDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** `--realm`, else LAPSE_REALM, else ~/.config/lapse (XDG_CONFIG_HOME is honoured). */
  static at(option: string | undefined): RealmDirectory {
    const { LAPSE_REALM: named, XDG_CONFIG_HOME: config } = process.env;
    return new RealmDirectory(option ?? named ?? join(config ?? join(homedir(), '.config'), 'lapse'));
  }

  file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** @throws ClientError realm-directory-exists, so that no realm's keys are ever overwritten */
  async create(): Promise<void> {
    if (await exists(this.path)) {
      throw new ClientError(
        'realm-directory-exists',
        `${this.path} exists already; choose another with --realm DIR`,
      );
    }
    for (const directory of ['', 'keys', 'pools'])
      await mkdir(this.file(directory), { recursive: true, mode: 0o700 });
  }

  /** Undoes `create` when the realm could not be made. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await using file = await open(this.file(name), 'wx', 0o600);
    await file.writeFile(bytes);
    await file.sync();
  }

  async writeConfig({ service, pool, custodian }: RealmConfig): Promise<void> {
    const json = { service, pool: recipientJson(pool), custodian: recipientJson(custodian) };
    await this.write('realm.json', Buffer.from(`${JSON.stringify(json, null, 2)}\n`));
  }

  async config(): Promise<RealmConfig> {
    const bytes = await this.#read('realm.json');
    try {
      const raw = object(parseJson(bytes, LIMITS.rootBytes), 'realm.json');
      return {
        service: string(raw['service'], 'service'),
        pool: readRecipient(raw['pool'], 'pool'),
        custodian: readRecipient(raw['custodian'], 'custodian'),
      };
    } catch (cause) {
      if (!isLapseError(cause)) throw cause;
      throw new ClientError('realm-directory-malformed', `${this.file('realm.json')}: ${cause.message}`, {
        cause,
      });
    }
  }

  anchor(): Promise<Uint8Array> {
    return this.#read('root.json');
  }

  async #read(name: string): Promise<Uint8Array> {
    try {
      return await readFile(this.file(name));
    } catch (cause) {
      const advice = 'run `lapse init` first, or name the directory with --realm DIR';
      throw new ClientError('realm-directory-missing', `no realm in ${this.path}; ${advice}`, { cause });
    }
  }
}

function recipientJson({ kid, epoch, key }: Recipient): JsonObject {
  return { kid, epoch, x: key.x };
}

function readRecipient(value: Json | undefined, where: string): Recipient {
  const raw = object(value, where);
  return {
    kid: string(raw['kid'], `${where}.kid`),
    epoch: integer(raw['epoch'], `${where}.epoch`),
    key: { kty: 'OKP', crv: 'X25519', x: string(raw['x'], `${where}.x`) },
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
