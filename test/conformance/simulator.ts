// A repository in memory, for tests: drafts of every role that a test may bend, keys by role, and what has been published
// so far. Nothing is checked here; a test makes it lie. `asked` says what a client fetched, in order.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { formatInstant } from '../../manifest/shape.ts';
import { keyId } from '../../manifest/tuf/keys.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import type { Signer } from '../../manifest/tuf/metadata.ts';
import type { Json, JsonObject } from '../../manifest/json.ts';
import { encodePath, encodeName } from './names.ts';

export type KeyType = 'ed25519' | 'ecdsa' | 'rsa';

/** A key with its entry in a key table. */
export interface TestSigner extends Signer {
  readonly json: JsonObject;
}

type Draft = Record<string, Json>;
interface RoleKeys {
  keyids: string[];
  threshold: number;
}

export interface DelegationTerms {
  paths?: readonly string[];
  path_hash_prefixes?: readonly string[];
  terminating?: boolean;
}

const TOP = ['root', 'timestamp', 'snapshot', 'targets'] as const;
const DAY = 24 * 3600_000;

export class Simulator {
  /** The signed part of each role's next version; the version counts up when it is published. */
  readonly drafts = new Map<string, Draft>();
  readonly signers = new Map<string, TestSigner[]>();
  /** By role, every version that is served; the first one first. */
  readonly published = new Map<string, Uint8Array[]>();
  readonly targets = new Map<string, Uint8Array>();
  readonly asked: string[] = [];
  /** Whether snapshot and timestamp carry lengths and hashes. */
  hashes: readonly ('sha256' | 'sha512')[] = [];
  readonly #start: number;

  constructor({ now = Date.now(), consistent = true } = {}) {
    this.#start = now;
    this.drafts.set('root', this.#draft('root', { consistent_snapshot: consistent, keys: {}, roles: {} }));
    this.drafts.set('timestamp', this.#draft('timestamp', { meta: { 'snapshot.json': { version: 1 } } }));
    this.drafts.set('snapshot', this.#draft('snapshot', { meta: {} }));
    this.drafts.set('targets', this.#draft('targets', { targets: {} }));
    for (const role of TOP) this.addKey(role);
    this.publish('targets', 'snapshot', 'timestamp', 'root');
  }

  draft(role: string): Draft {
    return this.drafts.get(role)!;
  }

  /** Root's keys of a top-level role, to be changed in place. */
  roleKeys(role: string): RoleKeys {
    const roles = this.draft('root')['roles'] as unknown as Record<string, RoleKeys>;
    return (roles[role] ??= { keyids: [], threshold: 1 });
  }

  /** One more key for a top-level role, which signs it from now on. */
  addKey(role: string, signer = newSigner()): TestSigner {
    (this.draft('root')['keys'] as Draft)[signer.keyid] = signer.json;
    this.roleKeys(role).keyids.push(signer.keyid);
    this.signers.set(role, [...(this.signers.get(role) ?? []), signer]);
    return signer;
  }

  /** Other keys for a top-level role, as many as its threshold. */
  rotate(role: string): void {
    const keys = this.roleKeys(role);
    keys.keyids = [];
    this.signers.set(role, []);
    for (let i = 0; i < keys.threshold; i++) this.addKey(role);
  }

  /** Delegates to a role, which is new unless another role delegates to it already; it gets one key more. */
  delegate(delegator: string, name: string, terms: DelegationTerms = {}): TestSigner {
    const signer = newSigner();
    const { keys, roles } = this.#delegations(delegator);
    keys[signer.keyid] = signer.json;
    const { terminating = false, ...owned } = terms;
    const paths = owned.path_hash_prefixes ? {} : { paths: ['*'] };
    roles.push({ name, keyids: [signer.keyid], threshold: 1, terminating, ...paths, ...owned });
    this.signers.set(name, [...(this.signers.get(name) ?? []), signer]);
    if (!this.drafts.has(name)) this.drafts.set(name, this.#draft('targets', { targets: {} }));
    return signer;
  }

  /** Delegates everything to 2^bits bins (TAP 15), and makes the drafts of the bins that are named. */
  delegateSuccinctly(delegator: string, bits: number, prefix: string, bins: readonly string[]): void {
    const signer = newSigner();
    this.draft(delegator)['delegations'] = {
      keys: { [signer.keyid]: signer.json },
      succinct_roles: { keyids: [signer.keyid], threshold: 1, bit_length: bits, name_prefix: prefix },
    };
    for (const bin of bins) {
      this.drafts.set(bin, this.#draft('targets', { targets: {} }));
      this.signers.set(bin, [signer]);
    }
  }

  addTarget(role: string, path: string, text: string, hashes: readonly string[] = ['sha256']): Uint8Array {
    const bytes = Buffer.from(text);
    const entry = { length: bytes.length, hashes: hashesOf(bytes, hashes) };
    (this.draft(role)['targets'] as Draft)[path] = entry;
    this.targets.set(path, bytes);
    return bytes;
  }

  /** Signs the next version of each role, in that order; a parent draft learns of it. */
  publish(...roles: readonly string[]): void {
    for (const role of roles) {
      const draft = this.draft(role);
      const before = this.published.get(role);
      if (before) draft['version'] = (draft['version'] as number) + 1;
      const bytes = signMetadata(draft, this.signers.get(role) ?? []);
      this.published.set(role, [...(before ?? []), bytes]);
      const meta = { version: draft['version'] as number, ...this.#measures(bytes) };
      if (role === 'snapshot') this.meta('timestamp')['snapshot.json'] = meta;
      else if (role !== 'root' && role !== 'timestamp') this.meta('snapshot')[`${role}.json`] = meta;
    }
  }

  /** Everything below root that was changed in `roles`. */
  publishBelow(...roles: readonly string[]): void {
    this.publish(...roles, 'snapshot', 'timestamp');
  }

  meta(role: 'snapshot' | 'timestamp'): Draft {
    return this.draft(role)['meta'] as Draft;
  }

  newest(role: string): Uint8Array {
    return this.published.get(role)!.at(-1)!;
  }

  /** Changes the newest file of a role as it is served, signatures and all. */
  tamper(role: string, change: (file: { signed: Draft; signatures: Draft[] }) => void): void {
    const versions = this.published.get(role)!;
    const file = JSON.parse(Buffer.from(versions.pop()!).toString()) as {
      signed: Draft;
      signatures: Draft[];
    };
    change(file);
    versions.push(Buffer.from(JSON.stringify(file)));
  }

  expire(role: string, days: number): void {
    this.draft(role)['expires'] = formatInstant(this.#start + days * DAY);
  }

  /** What is at a path below `metadata/` and `targets/`. */
  serve(path: string): Uint8Array | undefined {
    const [, kind, file = ''] = /^\/(metadata|targets)\/(.*)$/.exec(path) ?? [];
    this.asked.push(file);
    return kind === 'metadata' ? this.#metadata(file) : this.#target(file);
  }

  #metadata(file: string): Uint8Array | undefined {
    for (const [role, versions] of this.published) {
      const name = `${encodeName(role)}.json`;
      const isNumbered =
        role === 'root' || (this.draft('root')['consistent_snapshot'] && role !== 'timestamp');
      if (!isNumbered && file === name) return versions.at(-1);
      const i = versions.findIndex((_, index) => file === `${index + 1}.${name}`);
      if (isNumbered && i >= 0) return versions[i];
    }
    return undefined;
  }

  #target(file: string): Uint8Array | undefined {
    for (const [path, bytes] of this.targets) {
      const [directory, name] = [
        path.slice(0, path.lastIndexOf('/') + 1),
        path.slice(path.lastIndexOf('/') + 1),
      ];
      const isHashed = this.draft('root')['consistent_snapshot'];
      const isIt = isHashed
        ? /^[0-9a-f]{64,128}$/.test(prefixOf(file, directory, name))
        : file === encodePath(path);
      if (isIt) return bytes;
    }
    return undefined;
  }

  #measures(bytes: Uint8Array): JsonObject {
    return this.hashes.length === 0 ? {} : { length: bytes.length, hashes: hashesOf(bytes, this.hashes) };
  }

  #delegations(role: string): { keys: Draft; roles: Json[] } {
    const draft = this.draft(role);
    draft['delegations'] ??= { keys: {}, roles: [] };
    return draft['delegations'] as unknown as { keys: Draft; roles: Json[] };
  }

  #draft(type: string, members: Draft): Draft {
    const expires = formatInstant(this.#start + 30 * DAY);
    return { _type: type, spec_version: '1.0.34', version: 1, expires, ...members };
  }
}

function prefixOf(file: string, directory: string, name: string): string {
  const [start, end] = [encodePath(directory), `.${encodeName(name)}`];
  return file.startsWith(start) && file.endsWith(end) ? file.slice(start.length, -end.length) : '';
}

export function hashesOf(bytes: Uint8Array, names: readonly string[]): Draft {
  const hash = (name: string): string => createHash(name).update(bytes).digest('hex');
  const known = (name: string): string => (['sha256', 'sha512'].includes(name) ? hash(name) : sha256(bytes));
  return Object.fromEntries(names.map((name) => [name, known(name)]));
}

export function newSigner(type: KeyType = 'ed25519', members: JsonObject = {}): TestSigner {
  const { publicKey, privateKey } = pairOf(type);
  const json = { ...keyJson(type, publicKey), ...members };
  return { keyid: keyId(json), json, sign: (bytes) => signature(type, bytes, privateKey) };
}

function pairOf(type: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (type) {
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'ecdsa':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
}

function keyJson(type: KeyType, key: KeyObject): JsonObject {
  if (type === 'ed25519') {
    const raw = Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url').toString('hex');
    return { keytype: type, scheme: type, keyval: { public: raw } };
  }
  const scheme = type === 'ecdsa' ? 'ecdsa-sha2-nistp256' : 'rsassa-pss-sha256';
  return { keytype: type, scheme, keyval: { public: key.export({ format: 'pem', type: 'spki' }) as string } };
}

function signature(type: KeyType, bytes: Uint8Array, key: KeyObject): Uint8Array {
  if (type === 'ed25519') return sign(null, bytes, key);
  // RSA_PKCS1_PSS_PADDING
  return type === 'ecdsa' ? sign('sha256', bytes, key) : sign('sha256', bytes, { key, padding: 6 });
}
