// What travels between the service and its clients besides TUF files: the realm's birth, a publish, and news.
// JSON; files are base64 of their exact bytes. Nothing here is trusted for having been received: a publish is
// verified by the service, news by the host, each exactly like something fetched.
import type { Json, JsonObject } from '../json.ts';
import { parseJson } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, integer, object, string } from '../shape.ts';
import { ManifestError } from '../errors.ts';

/** `GET /v1/online-keys`: the public halves, in hexadecimal, of the keys that never leave the service. */
export interface OnlineKeys {
  readonly snapshot: string;
  readonly timestamp: string;
}

/** `POST /v1/realm`, once: root 1, targets 1 and the lease in seconds. */
export interface Genesis {
  readonly root: Uint8Array;
  readonly targets: Uint8Array;
  readonly lease: number;
}

/** `POST /v1/publish`: the next version of one targets role, and the envelopes that it newly lists. */
export interface Publish {
  readonly role: string;
  readonly metadata: Uint8Array;
  readonly envelopes: readonly Uint8Array[];
}

/** The answer to a publish, once it is durable. */
export interface Published {
  readonly version: number;
  readonly timestamp: number;
}

/**
 * One event of `GET /v1/events`, and the answer to nothing else: the newest timestamp, with the files that changed
 * inline under their consistent names (`7.snapshot.json`, `payments/SHA256.db-password@3`), as far as they are small.
 */
export interface News {
  readonly timestamp: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** How large one request body or one event may be, in bytes. */
export const EXCHANGE_LIMITS = {
  body: 16 << 20,
  event: 4 << 20,
  /** The largest file that news carries inline; larger ones are fetched. */
  inlineFile: 256 << 10,
  filesPerEvent: 64,
  envelopesPerPublish: 64,
} as const;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function bytes(value: Json | undefined, where: string): Uint8Array {
  const text = string(value, where);
  const decoded = Buffer.from(text, 'base64');
  if (decoded.toString('base64') !== text)
    throw new ManifestError('metadata-malformed', `${where}: no base64`);
  return decoded;
}

export function encodeGenesis({ root, targets, lease }: Genesis): JsonObject {
  return { root: base64(root), targets: base64(targets), lease };
}

export function parseGenesis(body: Uint8Array): Genesis {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'genesis');
  return {
    root: bytes(raw['root'], 'genesis.root'),
    targets: bytes(raw['targets'], 'genesis.targets'),
    lease: integer(raw['lease'], 'genesis.lease', 1, LIMITS.leaseSeconds),
  };
}

export function encodePublish({ role, metadata, envelopes }: Publish): JsonObject {
  return { role, metadata: base64(metadata), envelopes: envelopes.map(base64) };
}

export function parsePublish(body: Uint8Array): Publish {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'publish');
  return {
    role: string(raw['role'], 'publish.role'),
    metadata: bytes(raw['metadata'], 'publish.metadata'),
    envelopes: array(raw['envelopes'], 'publish.envelopes', EXCHANGE_LIMITS.envelopesPerPublish).map(
      (envelope) => bytes(envelope, 'publish.envelopes'),
    ),
  };
}

export function parsePublished(body: Uint8Array): Published {
  const raw = object(parseJson(body, LIMITS.timestampBytes), 'published');
  return {
    version: integer(raw['version'], 'published.version', 1),
    timestamp: integer(raw['timestamp'], 'published.timestamp', 1),
  };
}

export function parseOnlineKeys(body: Uint8Array): OnlineKeys {
  const raw = object(parseJson(body, LIMITS.timestampBytes), 'online-keys');
  return {
    snapshot: hex(raw['snapshot'], 'online-keys.snapshot', 32),
    timestamp: hex(raw['timestamp'], 'online-keys.timestamp', 32),
  };
}

export function encodeNews({ timestamp, files }: News): JsonObject {
  return {
    timestamp: base64(timestamp),
    files: Object.fromEntries([...files].map(([name, file]) => [name, base64(file)])),
  };
}

export function parseNews(body: Uint8Array): News {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.event), 'news');
  const files = Object.entries(object(raw['files'], 'news.files'));
  if (files.length > EXCHANGE_LIMITS.filesPerEvent) {
    throw new ManifestError(
      'metadata-malformed',
      `news.files: at most ${EXCHANGE_LIMITS.filesPerEvent} files`,
    );
  }
  return {
    timestamp: bytes(raw['timestamp'], 'news.timestamp'),
    files: new Map(files.map(([name, file]) => [name, bytes(file, `news.files.${name}`)])),
  };
}
