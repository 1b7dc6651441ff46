// What this host knows, serves, and did last: for `lapsed status`, for people, and for drills.
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../../client/clock.ts';
import type { Updater } from '../../../client/updater.ts';
import type { Follower } from '../../follower.ts';
import type { Lease } from '../../lease.ts';
import type { Serving } from '../../serving.ts';
import type { Vault } from '../../vault/vault.ts';

export interface StatusParts {
  readonly serving: Serving;
  readonly follower: Follower;
  readonly updater: Updater;
  readonly lease: Lease;
  readonly vault: Vault;
  readonly clock: Clock;
}

export function statusRoute(app: FastifyInstance, parts: StatusParts): void {
  app.get('/v1/status', () => status(parts));
}

function status({ serving, follower, updater, lease, vault, clock }: StatusParts) {
  const { set } = updater.state;
  return {
    realm: updater.realm,
    root: set.root.role.version,
    timestamp: set.timestamp?.role.version ?? 0,
    stream: follower.streaming ? 'open' : 'down',
    lastError: follower.lastError ?? null,
    lease: { holds: lease.holds(), remainingMs: Math.max(0, Math.round(lease.end - clock.boot())) },
    workloads: serving.workloads,
    files: serving.table.files.map(({ view, file, path, named, size }) => ({
      view,
      file,
      version: path,
      named,
      size,
    })),
    vault: { held: new Set(serving.table.files.map((file) => file.slot)).size, open: vault.open },
    problems: serving.problems.map(({ code, message }) => ({ code, message })),
    // Nanoseconds do not fit a JSON number.
    effects: serving.effects.last.map(({ version, change, receivedAt, effectAt }) => ({
      version,
      change,
      receivedAt: String(receivedAt),
      effectAt: String(effectAt),
    })),
  };
}
