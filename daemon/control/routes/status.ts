// What this host knows, serves, and did last: for `lapsed status`, for people, and for drills.
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../../client/clock.ts';
import type { Updater } from '../../../client/updater.ts';
import type { Warden } from '../../drill/warden.ts';
import type { Follower } from '../../follower.ts';
import type { HostFile } from '../../host/host-file.ts';
import type { Keyring } from '../../host/keyring.ts';
import type { Leases, Place } from '../../leases.ts';
import type { Receipts } from '../../receipts.ts';
import type { Serving } from '../../serving.ts';
import type { Vault } from '../../vault/vault.ts';

export interface StatusParts {
  readonly host: HostFile;
  readonly serving: Serving;
  readonly follower: Follower;
  readonly updater: Updater;
  readonly keyring: Keyring;
  readonly receipts: Receipts;
  readonly leases: Leases;
  readonly vault: Vault;
  readonly warden: Warden;
  readonly clock: Clock;
}

export function statusRoute(app: FastifyInstance, parts: StatusParts): void {
  app.get('/v1/status', () => status(parts));
}

function status(parts: StatusParts) {
  const { host, serving, follower, updater, keyring, receipts, leases, vault, warden, clock } = parts;
  const { set, alarms } = updater.state;
  const { entitlement } = follower;
  const lease = (place?: Place) => ({
    holds: leases.holds(place),
    remainingMs: Math.max(0, Math.round(leases.end(place) - clock.boot())),
  });
  const namespaces = [...(entitlement?.pools.keys() ?? [])];
  return {
    realm: host.realm,
    host: host.name,
    /** What the fleet says of it. */
    membership: entitlement?.record ? 'member' : (entitlement?.refusal?.code ?? 'unknown'),
    pools: entitlement?.record?.pools ?? [],
    keys: keyring.epochs,
    root: set.root.role.version,
    timestamp: set.timestamp?.role.version ?? 0,
    stream: follower.streaming ? 'open' : 'down',
    lastError: follower.lastError ?? null,
    // Of the realm itself; what is served hangs on its namespace's.
    lease: lease(),
    leases: Object.fromEntries(namespaces.map((name) => [name, lease(leases.place(name))])),
    receipts: { pending: receipts.pending, lastError: receipts.lastError ?? null },
    drill: warden.status,
    alarms: alarms.map(({ code, message }) => ({ code, message })),
    workloads: serving.workloads,
    files: serving.table.files.map(({ view, file, path, named, size }) => ({
      view,
      file,
      version: path,
      named,
      size,
    })),
    vault: { held: new Set(serving.table.files.map((file) => file.slot)).size, open: vault.open },
    problems: [...follower.problems, ...serving.problems].map(({ code, message }) => ({ code, message })),
    // Nanoseconds do not fit a JSON number.
    effects: serving.effects.last.map(({ version, change, receivedAt, effectAt }) => ({
      version,
      change,
      receivedAt: String(receivedAt),
      effectAt: String(effectAt),
    })),
  };
}
