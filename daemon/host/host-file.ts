// What makes this machine a host of one realm, in the state directory: `host.json` (where the service is, which realm, which
// name) and `root.json` (root 1, which came with the realm id of the invitation). Each is replaced as a whole. The two
// private keys stand beside them (`host-keys.ts`), verified metadata below in `trust`.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceAddress } from '../../client/http.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { parseHostName, parseRealmId } from '../../manifest/names.ts';
import type { HostName, RealmId } from '../../manifest/names.ts';
import { object, string } from '../../manifest/shape.ts';
import { DaemonError } from '../errors.ts';
import { writeWhole } from './whole-file.ts';

const FILE = 'host.json';
const ROOT = 'root.json';
const MOST_BYTES = 4 << 10;

export interface HostFile {
  readonly service: ServiceAddress;
  readonly realm: RealmId;
  readonly name: HostName;
}

/** Verified metadata, in a directory of its own: moving that away, damaged, must not take the host's keys along. */
export function trustDirectory(state: string): string {
  return join(state, 'trust');
}

/** Undefined when this machine has joined no realm. @throws DaemonError host-unreadable */
export async function readHostFile(state: string): Promise<HostFile | undefined> {
  const bytes = await read(state, FILE);
  if (!bytes) return undefined;
  try {
    const raw = object(parseJson(bytes, MOST_BYTES), FILE);
    return {
      service: {
        url: string(raw['service'], 'service'),
        ...(raw['pin'] === undefined ? {} : { pin: string(raw['pin'], 'pin') }),
      },
      realm: parseRealmId(string(raw['realm'], 'realm')),
      name: parseHostName(string(raw['name'], 'name')),
    };
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw new DaemonError('host-unreadable', `${join(state, FILE)} is damaged: ${cause.message}`, { cause });
  }
}

/** @throws DaemonError host-unreadable */
export async function readAnchor(state: string): Promise<Uint8Array> {
  const bytes = await read(state, ROOT);
  if (bytes && bytes.length <= LIMITS.rootBytes) return bytes;
  throw new DaemonError('host-unreadable', `${join(state, ROOT)} is missing, or no root; join again`);
}

/** The root first: who has `host.json` has both. @throws DaemonError host-unwritable */
export async function writeHostFile(state: string, host: HostFile, root: Uint8Array): Promise<void> {
  const { service, realm, name } = host;
  const json = {
    service: service.url,
    ...(service.pin === undefined ? {} : { pin: service.pin }),
    realm,
    name,
  };
  try {
    await mkdir(state, { recursive: true, mode: 0o700 });
    await writeWhole(state, ROOT, root);
    await writeWhole(state, FILE, Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`));
  } catch (cause) {
    throw new DaemonError('host-unwritable', `cannot write to ${state}`, { cause });
  }
}

async function read(state: string, name: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(join(state, name));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DaemonError('host-unreadable', `cannot read ${join(state, name)}`, { cause });
  }
}
