// What travels between the service and its clients besides TUF files: the realm's birth, a publish, and news.
// JSON; files are base64 of their exact bytes. Nothing here is trusted for having been received: a publish is
// verified by the service, news by the host, each exactly like something fetched.
import type { Json, JsonObject } from '../json.ts';
import { parseJson } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, integer, object, string } from '../shape.ts';
import { ManifestError } from '../errors.ts';
import { readJoin } from './invite.ts';
import type { JoinRequest } from './invite.ts';

/** How many requests to join a service keeps. */
export const JOINS = 1024;

/** The public halves, in hexadecimal, of two keys that never leave the service. */
export interface OnlinePair {
  readonly snapshot: string;
  readonly timestamp: string;
}

/** `GET /v1/online-keys`: the keys in use, and those that wait for a root to name them. */
export interface OnlineKeys extends OnlinePair {
  readonly next?: OnlinePair;
}

/** A targets role's file on its way: `targets`, `fleet`, `fleet-hosts`, a namespace or its revoker. */
export interface RoleUpload {
  readonly name: string;
  readonly metadata: Uint8Array;
}

/** `POST /v1/realm`, once: root 1, the first version of targets, fleet and fleet-hosts, and the lease in seconds. */
export interface Genesis {
  readonly root: Uint8Array;
  readonly roles: readonly RoleUpload[];
  readonly lease: number;
}

/** `POST /v1/root`: the next root, and the next targets when root gives those keys that have not signed the last. */
export interface RootChange {
  readonly root: Uint8Array;
  /** Nothing, or `targets`. */
  readonly roles: readonly RoleUpload[];
}

/**
 * `POST /v1/publish`: the next versions of some targets roles, each after the one that delegates to it, and the files
 * that they newly list. All of it takes effect in one commit, or nothing does.
 */
export interface Publish {
  readonly roles: readonly RoleUpload[];
  /** Envelopes of namespaces, keyrings of fleet-hosts. */
  readonly files: readonly Uint8Array[];
}

/** A moment of the service: microseconds of its CLOCK_MONOTONIC, and the boot id that says whose clock that is. */
export interface ServiceMoment {
  readonly at: number;
  readonly boot: string;
}

/** The answer to a publish, once it is durable: `at` is right after the commit. */
export interface Published extends ServiceMoment {
  /** The version of each role that was published. */
  readonly roles: ReadonlyMap<string, number>;
  readonly snapshot: number;
  readonly timestamp: number;
}

/** A receipt, or a drill's statement, as the service keeps it: numbered in the order in which they came. */
export interface StoredReceipt {
  readonly id: number;
  readonly host: string;
  readonly jws: string;
  /** When it was stored, in microseconds of the service's CLOCK_MONOTONIC. */
  readonly at: number;
}

/** `GET /v1/receipts?after=N`: what came after number N, and the last number there is. */
export interface StoredReceipts {
  readonly receipts: readonly StoredReceipt[];
  readonly last: number;
}

/**
 * One event of `GET /v1/events`, and the answer to nothing else: the newest timestamp, with the files that changed
 * inline under their consistent names (`7.snapshot.json`, `payments/SHA256.db-password@3`), as far as they are small. `at` is
 * when the event was made; nothing is decided by it, a drill reports it.
 */
export interface News extends Partial<ServiceMoment> {
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
  rolesPerPublish: 16,
  /** A removal re-wraps a pool for each of its members. */
  filesPerPublish: 4096,
  receiptsPerPost: 16,
  receiptsPerAnswer: 256,
  /** A receipt with its number and its host. */
  storedReceipt: LIMITS.receiptBytes + 256,
  /** The body of a small request, or of an answer with no file in it. */
  small: 16 << 10,
} as const;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function bytes(value: Json | undefined, where: string): Uint8Array {
  const text = string(value, where);
  const decoded = Buffer.from(text, 'base64');
  if (decoded.toString('base64') !== text)
    throw new ManifestError('metadata-malformed', `${where}: no base64`);
  return decoded;
}

export function encodeGenesis({ root, roles, lease }: Genesis): JsonObject {
  return { root: base64(root), roles: roles.map(uploadJson), lease };
}

export function parseGenesis(body: Uint8Array): Genesis {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'genesis');
  return {
    root: bytes(raw['root'], 'genesis.root'),
    roles: readUploads(raw['roles'], 'genesis.roles'),
    lease: integer(raw['lease'], 'genesis.lease', 1, LIMITS.leaseSeconds),
  };
}

export function encodeRootChange({ root, roles }: RootChange): JsonObject {
  return { root: base64(root), roles: roles.map(uploadJson) };
}

export function parseRootChange(body: Uint8Array): RootChange {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'root-change');
  return {
    root: bytes(raw['root'], 'root-change.root'),
    roles:
      raw['roles'] === undefined
        ? []
        : array(raw['roles'], 'root-change.roles', 1).map((role) => readUpload(role, 'root-change.roles')),
  };
}

export function encodePublish({ roles, files }: Publish): JsonObject {
  return { roles: roles.map(uploadJson), files: files.map(base64) };
}

export function parsePublish(body: Uint8Array): Publish {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'publish');
  return {
    roles: readUploads(raw['roles'], 'publish.roles'),
    files: array(raw['files'], 'publish.files', EXCHANGE_LIMITS.filesPerPublish).map((file) =>
      bytes(file, 'publish.files'),
    ),
  };
}

export function uploadJson({ name, metadata }: RoleUpload): JsonObject {
  return { name, metadata: base64(metadata) };
}

function readUpload(value: Json, where: string): RoleUpload {
  const raw = object(value, where);
  return {
    name: string(raw['name'], `${where}.name`),
    metadata: bytes(raw['metadata'], `${where}.metadata`),
  };
}

export function readUploads(value: Json | undefined, where: string): readonly RoleUpload[] {
  const uploads = array(value, where, EXCHANGE_LIMITS.rolesPerPublish).map((each) => readUpload(each, where));
  if (uploads.length > 0 && new Set(uploads.map(({ name }) => name)).size === uploads.length) return uploads;
  throw new ManifestError('metadata-malformed', `${where}: at least one role, each once`);
}

export function encodePublished({ roles, snapshot, timestamp, at, boot }: Published): JsonObject {
  return { roles: Object.fromEntries(roles), snapshot, timestamp, at, boot };
}

export function parsePublished(body: Uint8Array): Published {
  return readPublished(parseJson(body, EXCHANGE_LIMITS.small));
}

export function readPublished(value: Json | undefined): Published {
  const raw = object(value, 'published');
  const roles = Object.entries(object(raw['roles'], 'published.roles'));
  return {
    roles: new Map(roles.map(([name, version]) => [name, integer(version, 'published.roles', 1)])),
    snapshot: integer(raw['snapshot'], 'published.snapshot', 1),
    timestamp: integer(raw['timestamp'], 'published.timestamp', 1),
    ...readMoment(raw, 'published'),
  };
}

export function parseReceiptsPost(body: Uint8Array): readonly string[] {
  const most = EXCHANGE_LIMITS.receiptsPerPost;
  const raw = object(parseJson(body, most * EXCHANGE_LIMITS.storedReceipt), 'receipts');
  return array(raw['receipts'], 'receipts', most).map((jws) => string(jws, 'receipts'));
}

export function encodeStoredReceipts({ receipts, last }: StoredReceipts): JsonObject {
  return { receipts: receipts.map(storedReceiptJson), last };
}

export function parseStoredReceipts(body: Uint8Array): StoredReceipts {
  const most = EXCHANGE_LIMITS.receiptsPerAnswer;
  const raw = object(parseJson(body, most * EXCHANGE_LIMITS.storedReceipt), 'receipts');
  return {
    receipts: array(raw['receipts'], 'receipts', most).map(readStoredReceipt),
    last: integer(raw['last'], 'receipts.last'),
  };
}

export function storedReceiptJson({ id, host, jws, at }: StoredReceipt): JsonObject {
  return { id, host, jws, at };
}

export function readStoredReceipt(value: Json): StoredReceipt {
  const raw = object(value, 'receipt');
  return {
    id: integer(raw['id'], 'receipt.id', 1),
    host: string(raw['host'], 'receipt.host'),
    jws: string(raw['jws'], 'receipt.jws'),
    at: integer(raw['at'], 'receipt.at'),
  };
}

export function parseJoins(body: Uint8Array): readonly JoinRequest[] {
  const raw = object(parseJson(body, JOINS * LIMITS.joinBytes), 'joins');
  return array(raw['joins'], 'joins', JOINS).map(readJoin);
}

export function parseOnlineKeys(body: Uint8Array): OnlineKeys {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.small), 'online-keys');
  const { next } = raw;
  return {
    ...readPair(raw, 'online-keys'),
    ...(next === undefined ? {} : { next: readPair(object(next, 'online-keys.next'), 'online-keys.next') }),
  };
}

function readPair(raw: JsonObject, where: string): OnlinePair {
  return {
    snapshot: hex(raw['snapshot'], `${where}.snapshot`, 32),
    timestamp: hex(raw['timestamp'], `${where}.timestamp`, 32),
  };
}

export function encodeNews({ timestamp, files, at, boot }: News): JsonObject {
  return {
    timestamp: base64(timestamp),
    files: Object.fromEntries([...files].map(([name, file]) => [name, base64(file)])),
    ...(at === undefined || boot === undefined ? {} : { at, boot }),
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
    ...(raw['at'] === undefined ? {} : readMoment(raw, 'news')),
  };
}

function readMoment(raw: JsonObject, where: string): ServiceMoment {
  const boot = string(raw['boot'], `${where}.boot`);
  if (!/^[\x21-\x7e]{1,256}$/.test(boot))
    throw new ManifestError('metadata-malformed', `${where}.boot: no boot id`);
  return { at: integer(raw['at'], `${where}.at`), boot };
}
