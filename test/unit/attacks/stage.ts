// An attacked client: the real updater and a trust store in a real directory, before a service in memory that a test makes
// lie. Every attack is watched from here: what is trusted, what can be read and what is on the disk must not have moved,
// before and after a restart, and an honest service must be followed again afterwards.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { parseFileName, parseNamespace, parseSecretName, parseWorkload } from '../../../manifest/names.ts';
import type { Namespace } from '../../../manifest/names.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import { readers } from '../../../manifest/realm/secret.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryService } from '../client/memory-service.ts';

export const PAYMENTS = parseNamespace('payments');
export const BILLING = parseNamespace('billing');
export const DB = parseSecretName('db');
export const GRANT: Grant = {
  workload: parseWorkload('web'),
  file: parseFileName('db'),
  uid: 0,
  gid: 0,
  mode: 0o400,
};

const scratch = mkdtempSync(join(tmpdir(), 'lapse-attacks-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let stages = 0;

/** By what a client brings itself up to date. */
export type Way = (updater: Updater) => Promise<unknown>;
const REFRESH: Way = (updater) => updater.refresh();

export class Stage {
  readonly clock: ManualClock;
  readonly service: MemoryService;
  /** The host's disk. */
  directory = join(scratch, String(++stages));
  updater!: Updater;

  private constructor(clock: ManualClock, service: MemoryService) {
    this.clock = clock;
    this.service = service;
  }

  /** A host that is up to date, and saved: `payments/db@1`; `billing/db@1` and `billing/admin@1` under a revoker. */
  static async set(): Promise<Stage> {
    const clock = new ManualClock();
    const service = await MemoryService.start(clock, { grants: [GRANT] });
    const { realm } = service;
    service.put(realm.delegate('billing', { revoker: true }));
    service.put(await realm.put('billing', 'db', { grants: [GRANT] }));
    service.put(await realm.put('billing', 'admin', { grants: [GRANT] }));
    const stage = new Stage(clock, service);
    stage.updater = await stage.open();
    await stage.updater.refresh();
    await stage.updater.persist();
    return stage;
  }

  get realm(): MemoryService['realm'] {
    return this.service.realm;
  }

  /** A client that starts with what is on the disk. */
  open(directory = this.directory): Promise<Updater> {
    return Updater.open({
      anchor: this.realm.genesis.root,
      storeFor: (realm) => new TrustStore(directory, realm),
      transport: this.service,
      clock: this.clock,
    });
  }

  /** Makes service and wall clock as they are now. */
  checkpoint(): () => void {
    const [undo, { wall }] = [this.service.checkpoint(), this.clock];
    return () => {
      undo();
      this.clock.wall = wall;
    };
  }

  /** The whole update is refused with `code`, and again after a restart; nothing moved, and the honest service is followed. */
  async refuses(code: string, attack: () => unknown, way = REFRESH): Promise<void> {
    const [state, disk, undo] = [this.updater.state, onDisk(this.directory), this.checkpoint()];
    await attack();
    await expect(way(this.updater)).rejects.toMatchObject({ code });
    expect(this.updater.state).toBe(state);
    await this.updater.persist();
    const restarted = await this.open();
    await expect(way(restarted)).rejects.toMatchObject({ code });
    expect(versions(restarted.state.set)).toEqual(versions(state.set));
    expect(readable(state)).toEqual(expect.arrayContaining([...readable(restarted.state)]));
    await restarted.persist();
    expect(onDisk(this.directory)).toEqual(disk);
    undo();
    await this.follows('payments');
  }

  /**
   * `role` fails alone with `code`, now and after a restart: if it is a namespace it has no secrets then; all else is as
   * it was. What its authors publish next is followed; before that, `mend` replaces what else must not stay.
   */
  async failsAlone(role: string, code: string, attack: () => unknown, mend?: () => unknown): Promise<void> {
    const before = readable(this.updater.state);
    await attack();
    await this.updater.refresh();
    await this.updater.persist();
    const restarted = await this.open();
    await restarted.refresh();
    for (const { state } of [this.updater, restarted]) {
      expect([...state.failures].map(([name, error]) => [name, error.code])).toEqual([[role, code]]);
      expect(readable(state)).toEqual(before.filter((path) => !path.startsWith(`${role}/`)));
    }
    await mend?.();
    const isNamespace = this.updater.state.policies.has(role as Namespace);
    if (isNamespace) await this.follows(role);
  }

  /** The next version of a namespace's `db` is taken by this client and by one that restarted. */
  async follows(namespace: string): Promise<void> {
    this.service.put(await this.realm.put(namespace, 'db', { grants: [GRANT] }));
    const restarted = await this.open();
    for (const updater of [this.updater, restarted]) {
      const state = await updater.refresh();
      expect([...state.failures.keys()]).toEqual([]);
      const { newest } = state.secrets.get(parseNamespace(namespace))!.get(DB)!;
      expect(newest?.version).toBe(this.realm.secret(namespace, 'db')?.newestVersion);
    }
  }
}

/** Every version that somebody can read, with its hash and its readers. */
export function readable({ secrets }: RealmState): readonly string[] {
  const all = [...secrets.values()].flatMap((namespace) => [...namespace.values()]);
  const lines = all.flatMap((secret) =>
    liveVersions(secret).map(({ path, version, sha256: hash }) =>
      [path, hash, ...readers(secret, version).map(({ workload }) => workload)].join(' '),
    ),
  );
  return lines.sort();
}

/** Of every role that is trusted. */
export function versions({
  root,
  timestamp,
  snapshot,
  targets,
}: TrustedSet): Readonly<Record<string, number>> {
  const named = { root, timestamp, snapshot, ...Object.fromEntries(targets) };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, file]) => (file ? [[name, file.role.version]] : [])),
  );
}

/** Every file of a directory by its hash, but the lock. */
export function onDisk(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory).filter((name) => name !== 'trusted.lock');
  return Object.fromEntries(names.map((name) => [name, sha256(readFileSync(join(directory, name)))]));
}

/** A file with its signed part changed; the signatures stay those of the original. */
export function altered(file: Uint8Array, change: object): Uint8Array {
  const { signed, ...rest } = JSON.parse(Buffer.from(file).toString()) as { signed: object };
  return Buffer.from(JSON.stringify({ ...rest, signed: { ...signed, ...change } }));
}
