// `fleet-hosts`: the members. A target `fleet-hosts/HOST` is that host's keyring file; its `custom` is the host's record.
// The keyring holds the private keys of its pools, each wrapped to the host's own key; a host fetches its own, keeps it in
// memory only, and never sees another's.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { parseJson } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseHostName, parsePoolName } from '../names.ts';
import type { HostName, PoolName } from '../names.ts';
import { array, formatInstant, instant, integer, object, string } from '../shape.ts';
import { sha256 } from '../tuf/metadata.ts';
import { sha256Of } from '../tuf/targets.ts';
import type { TargetFile, Targets } from '../tuf/targets.ts';
import type { Fleet } from './fleet.ts';
import type { WrappedKey } from './jwe.ts';
import type { Policy } from './policy.ts';
import { FLEET_HOSTS } from './realm.ts';
import { keyJson, readRecipientKey, readSigningKey, thumbprint } from './recipient.ts';
import type { RecipientKey, SigningKey } from './recipient.ts';

/** What a host says of itself when it joins, and what the fleet signs. */
export interface HostKeys {
  readonly name: HostName;
  readonly signing: SigningKey;
  readonly encryption: RecipientKey;
  readonly pools: readonly PoolName[];
}

export interface HostRecord extends HostKeys {
  /** Thumbprint of `signing`. */
  readonly kid: string;
  /** Milliseconds since the epoch. */
  readonly joined: number;
  readonly keyring: { readonly length: number; readonly sha256: string };
}

/** One pool key of one epoch, for one host. */
export interface KeyringEntry extends WrappedKey {
  readonly pool: PoolName;
}

/** @throws ManifestError path-outside-role, fleet-malformed and the readers' codes */
export function readHosts(role: Targets): ReadonlyMap<HostName, HostRecord> {
  if (role.targets.size > LIMITS.hosts) throw new ManifestError('fleet-malformed', 'fleet-hosts: too many');
  const hosts = new Map([...role.targets].map(([path, file]) => readHost(path, file)));
  if (new Set([...hosts.values()].map(({ kid }) => kid)).size === hosts.size) return hosts;
  throw new ManifestError('fleet-malformed', 'fleet-hosts: two hosts have one signing key');
}

function readHost(path: string, file: TargetFile): [HostName, HostRecord] {
  const { length, custom } = file;
  if (!path.startsWith(`${FLEET_HOSTS}/`)) {
    throw new ManifestError('path-outside-role', 'fleet-hosts may list fleet-hosts/HOST and nothing else');
  }
  if (length > LIMITS.keyringBytes) throw new ManifestError('fleet-malformed', `${path}: too long`);
  const name = parseHostName(path.slice(FLEET_HOSTS.length + 1));
  const raw = object(custom, path);
  const signing = readSigningKey(raw['signing'], `${path}.signing`);
  return [
    name,
    {
      name,
      signing,
      kid: thumbprint(signing),
      encryption: readRecipientKey(raw['encryption'], `${path}.encryption`),
      pools: readPools(raw['pools'], `${path}.pools`),
      joined: instant(raw['joined'], `${path}.joined`),
      keyring: { length, sha256: sha256Of(file, path) },
    },
  ];
}

export function readPools(value: Json | undefined, where: string): readonly PoolName[] {
  const pools = array(value, where, LIMITS.poolsPerHost).map((pool) => parsePoolName(string(pool, where)));
  if (pools.length > 0 && new Set(pools).size === pools.length) return pools;
  throw new ManifestError('fleet-malformed', `${where}: at least one pool, each once`);
}

/** The consistent name of a host's keyring. */
export function keyringFile({ name, keyring }: HostRecord): string {
  return `${FLEET_HOSTS}/${keyring.sha256}.${name}`;
}

/** The hosts whose keys still speak. */
export function activeHosts(hosts: ReadonlyMap<HostName, HostRecord>, fleet: Fleet): readonly HostRecord[] {
  const removed = new Set(fleet.removals.map(({ host, kid }) => `${host} ${kid}`));
  return [...hosts.values()].filter(({ name, kid }) => !removed.has(`${name} ${kid}`));
}

/** The hosts that serve a namespace: whose receipt a change of it awaits. */
export function servingHosts(
  hosts: ReadonlyMap<HostName, HostRecord>,
  fleet: Fleet,
  policy: Policy,
): readonly HostRecord[] {
  return activeHosts(hosts, fleet).filter(({ pools }) => pools.some((pool) => policy.pools.includes(pool)));
}

/** The `targets` member with a host added, or with its record and keyring replaced; `joined` in milliseconds. */
export function withHost(
  targets: JsonObject,
  host: HostKeys & { readonly joined: number },
  keyring: Uint8Array,
): JsonObject {
  const { name, signing, encryption, pools, joined } = host;
  const path = `${FLEET_HOSTS}/${name}`;
  const old = targets[path] === undefined ? {} : object(object(targets[path], path)['custom'], path);
  const custom = {
    ...old,
    signing: keyJson(signing),
    encryption: keyJson(encryption),
    pools,
    joined: formatInstant(joined),
  };
  return { ...targets, [path]: { length: keyring.length, hashes: { sha256: sha256(keyring) }, custom } };
}

export function withoutHost(targets: JsonObject, name: HostName): JsonObject {
  const { [`${FLEET_HOSTS}/${name}`]: _removed, ...rest } = targets;
  return rest;
}

export function encodeKeyring(entries: readonly KeyringEntry[]): Uint8Array {
  const keys = entries.map(({ pool, epoch, kid, jwe }) => ({ pool, epoch, kid, jwe }));
  return new TextEncoder().encode(JSON.stringify({ keys }));
}

/** @throws ManifestError fleet-malformed and the readers' codes */
export function parseKeyring(bytes: Uint8Array): readonly KeyringEntry[] {
  const raw = object(parseJson(bytes, LIMITS.keyringBytes), 'keyring');
  const most = LIMITS.poolsPerHost * LIMITS.epochsPerPool;
  return array(raw['keys'], 'keyring.keys', most).map((value) => {
    const key = object(value, 'keyring.keys');
    return {
      pool: parsePoolName(string(key['pool'], 'keyring.keys.pool')),
      epoch: integer(key['epoch'], 'keyring.keys.epoch', 1),
      kid: string(key['kid'], 'keyring.keys.kid'),
      jwe: string(key['jwe'], 'keyring.keys.jwe'),
    };
  });
}
