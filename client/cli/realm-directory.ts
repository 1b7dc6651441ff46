// An operator's directory: which realm, which service, and this person's identities. Who can decrypt what is put is
// not kept here: that comes from verified metadata.
//
//   realm.json                 the service, and the pin of its certificate
//   root.json                  root 1, the anchor
//   identities/NAME.identity   signing and decryption keys; root's belong offline
//   genesis.json               only while `lapse init` is under way
//   trust/                     verified metadata
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { object, string } from '../../manifest/shape.ts';
import { ClientError } from '../errors.ts';

export interface RealmConfig {
  readonly service: string;
  /** `sha256:…` of the service's public key; absent for plain HTTP on loopback. */
  readonly pin?: string;
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

  identity(name: string): string {
    return this.file('identities', `${name}.identity`);
  }

  /** @throws ClientError realm-directory-exists, so that no realm is ever written over another */
  async refuseRealm(): Promise<void> {
    for (const name of ['realm.json', 'root.json']) {
      if (await exists(this.file(name))) {
        const advice = 'choose another with --realm DIR';
        throw new ClientError('realm-directory-exists', `${this.path} has a realm already; ${advice}`);
      }
    }
  }

  /** Makes the directory, if need be; identities may be there already. */
  async create(): Promise<void> {
    await mkdir(this.file('identities'), { recursive: true, mode: 0o700 });
  }

  /** Removes the directory, unless something is in it. */
  async removeIfEmpty(): Promise<void> {
    for (const directory of [this.file('identities'), this.path])
      await rmdir(directory).catch(() => undefined);
  }

  /** Replaces a file of the directory atomically. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const draft = this.file(`${name}.${randomBytes(4).toString('hex')}.new`);
    try {
      {
        await using file = await open(draft, 'wx', 0o600);
        await file.writeFile(bytes);
        await file.sync();
      }
      await rename(draft, this.file(name));
    } finally {
      await rm(draft, { force: true });
    }
    await using directory = await open(this.path);
    await directory.sync();
  }

  async remove(name: string): Promise<void> {
    await rm(this.file(name), { force: true });
  }

  /** The bytes of a file of the directory, or undefined. */
  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.file(name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new ClientError('realm-directory-malformed', `cannot read ${this.file(name)}`, { cause });
    }
  }

  async writeConfig({ service, pin }: RealmConfig): Promise<void> {
    const json = { service, ...(pin === undefined ? {} : { pin }) };
    await this.write('realm.json', Buffer.from(`${JSON.stringify(json, null, 2)}\n`));
  }

  async config(): Promise<RealmConfig> {
    const bytes = await this.#required('realm.json');
    try {
      const raw = object(parseJson(bytes, LIMITS.rootBytes), 'realm.json');
      const service = string(raw['service'], 'service');
      return raw['pin'] === undefined ? { service } : { service, pin: string(raw['pin'], 'pin') };
    } catch (cause) {
      if (!isLapseError(cause)) throw cause;
      throw new ClientError('realm-directory-malformed', `${this.file('realm.json')}: ${cause.message}`, {
        cause,
      });
    }
  }

  anchor(): Promise<Uint8Array> {
    return this.#required('root.json');
  }

  async #required(name: string): Promise<Uint8Array> {
    const bytes = await this.read(name);
    if (bytes) return bytes;
    const isBegun = await exists(this.file('genesis.json'));
    const advice = isBegun
      ? '`lapse init` was broken off here: run it again'
      : 'run `lapse init` or `lapse follow` first, or name the directory with --realm DIR';
    throw new ClientError('realm-directory-missing', `no realm in ${this.path}; ${advice}`);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
