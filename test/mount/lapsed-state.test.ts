// What lapsed keeps on disk, when the disk or the service does its worst: what was taken back stays so over a restart, damage
// is never taken for a first start, and what cannot be kept renews no lease.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { signEcho } from '../../manifest/realm/echo.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';
import { OnlineKeyRing } from '../../service/online-keys.ts';
import { soon, until } from '../support/lapsed.ts';
import type { Lapsed, Status } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';
import type { Answer } from '../support/lapsed-proxy.ts';
import type { Probe } from '../support/lapsed-probe.ts';

const LEASE_S = 2;
/** Longer than a host waits before it saves what it was told. */
const QUIET_MS = 300;

let machine: RealmMachine;
/** The one that runs. */
let running: Lapsed;
let web: Probe;
let tests = 0;
/** A secret of its own for each test, served. */
let secret: string;

onOneMachine(async () => {
  machine = await RealmMachine.start({ lease: LEASE_S });
  running = await machine.startLapsed();
  web = await machine.inWorkload('web');
  return machine;
});

beforeEach(async () => {
  secret = `db-${++tests}`;
  await machine.put(`payments/${secret}`, secret);
  await expect.poll(() => web.cat(`self/${secret}`), soon).toBe(secret);
});

afterEach(() => machine.proxy.mend());

const trust = (...names: readonly string[]): string => join(machine.places.state, 'trust', ...names);

/** Waits until the host has saved what it follows. */
const saved = (role: string): Promise<void> =>
  expect
    .poll(() => readFileSync(trust('trusted.json'), 'utf8'), soon)
    .toContain(`"${versionOf(role)}.${role}.json"`);

const versionOf = (role: string): number => machine.realm.role(role).role.version;

async function metadata(file: string): Promise<Uint8Array> {
  return machine.service.client.file(`metadata/${file}`);
}

/** A service that is not honest any more: its keys sign whatever is convenient. */
class Dishonest {
  readonly #keys = OnlineKeyRing.open(machine.places.store).of(
    trustRoot(machine.realm.genesis.root).root.role,
  );
  readonly #answers = new Map<string, Answer>();
  #timestamp: Uint8Array = new Uint8Array();

  /** The state of this moment, for ever. */
  static async frozen(): Promise<Dishonest> {
    const dishonest = new Dishonest();
    dishonest.#take('timestamp.json', await metadata('timestamp.json'));
    return dishonest;
  }

  /** One role's file in place of the current one, under the next snapshot and timestamp. */
  static async with(role: string, file: Uint8Array): Promise<Dishonest> {
    const dishonest = new Dishonest();
    const { signed: old } = JSON.parse(Buffer.from(await metadata('timestamp.json')).toString()) as Signed;
    const meta = old['meta'] as { 'snapshot.json': { version: number } };
    const number = meta['snapshot.json'].version;
    const { signed: names } = JSON.parse(
      Buffer.from(await metadata(`${number}.snapshot.json`)).toString(),
    ) as Signed;
    const { version } = (JSON.parse(Buffer.from(file).toString()) as Signed).signed;
    const keys = dishonest.#keys;
    const snapshot = signMetadata(
      {
        ...names,
        version: number + 1,
        meta: {
          ...(names['meta'] as JsonObject),
          [`${role}.json`]: { version: version as number, ...about(file) },
        },
      },
      [keys.snapshot],
    );
    const timestamp = signMetadata(
      {
        ...old,
        version: (old['version'] as number) + 1,
        meta: { 'snapshot.json': { version: number + 1, ...about(snapshot) } },
      },
      [keys.timestamp],
    );
    dishonest.#take(`${version as number}.${role}.json`, file);
    dishonest.#take(`${number + 1}.snapshot.json`, snapshot);
    dishonest.#take('timestamp.json', timestamp);
    return dishonest;
  }

  #take(file: string, body: Uint8Array): void {
    this.#answers.set(`metadata/${file}`, { status: 200, body });
    if (file === 'timestamp.json') this.#timestamp = body;
  }

  /** Stands in the service's place from now on. */
  begin(): void {
    machine.proxy.cut();
    machine.proxy.mend();
    const { signed } = JSON.parse(Buffer.from(this.#timestamp).toString()) as Signed;
    const newest = { version: signed['version'] as number, sha256: sha256(this.#timestamp) };
    machine.proxy.answer = (path) => {
      const [, nonce] = /^echo\/(.*)$/.exec(path) ?? [];
      if (nonce !== undefined) return { status: 200, body: signEcho(newest, nonce, [this.#keys.timestamp]) };
      return path.startsWith('events') ? { status: 503, body: Buffer.from('{}') } : this.#answers.get(path);
    };
  }
}

interface Signed {
  readonly signed: JsonObject;
}

const about = (file: Uint8Array) => ({ length: file.length, hashes: { sha256: sha256(file) } });

async function restart(): Promise<void> {
  await running.end();
  running = await machine.launchLapsed();
  await machine.statusOf('a status', () => true);
}

async function expectNothing(name: string): Promise<void> {
  for (let i = 0; i < 4; i++) {
    expect(['ENOENT', 'EACCES']).toContain(await web.cat(`self/${name}`));
    await sleep((LEASE_S * 1000) / 4);
  }
}

describe('the service rolls back', () => {
  it('to before a revocation, and confirms that: refused while it runs, and after a restart', async () => {
    const before = await Dishonest.frozen();
    await machine.publish(machine.realm.revoke('payments', secret, 1));
    await expect.poll(() => web.cat(`self/${secret}`), soon).toBe('ENOENT');
    await saved('payments');
    before.begin();
    const { lastError } = await machine.statusOf(
      'a refusal',
      (status) => status.lastError?.includes('older') === true,
    );
    expect(lastError).toMatch(/older than the trusted/);
    await expectNothing(secret);
    await restart();
    await machine.statusOf('a refusal', (status) => status.lastError?.includes('older') === true);
    await expectNothing(secret);
    expect((await machine.status()).lease.holds).toBe(false);
    machine.proxy.mend();
    await machine.statusOf('a lease', ({ lease }) => lease.holds);
    await expectNothing(secret);
  }, 60_000);

  it('in a newer file of the namespace, signed by its stolen key, in which the floor sank: the namespace lapses, also after a restart', async () => {
    const targets = machine.realm.targets('payments');
    await machine.publish(machine.realm.revoke('payments', secret, 1));
    await expect.poll(() => web.cat(`self/${secret}`), soon).toBe('ENOENT');
    await saved('payments');
    const sunk = machine.realm.draft('payments', { targets }).roles[0]!.metadata;
    (await Dishonest.with('payments', sunk)).begin();
    const hasSunk = (code: string): boolean => code === 'floor-sank' || code === 'version-reused';
    await machine.statusOf('a sunken floor', ({ problems }) => problems.some(({ code }) => hasSunk(code)));
    await expectNothing(secret);
    await machine.statusOf('the end of its lease', ({ leases }) => leases['payments']?.holds === false);
    await restart();
    await machine.statusOf('a sunken floor', ({ problems }) => problems.some(({ code }) => hasSunk(code)));
    await expectNothing(secret);
    const isAlone = ({ lease, leases }: Status): boolean =>
      lease.holds && leases['payments']?.holds === false;
    await machine.statusOf('the lease of the realm, and none of the namespace', isAlone);
    // An honest service has no such version: what the host has seen of it is gone for good.
    await running.end();
    rmSync(trust(), { recursive: true });
    machine.proxy.mend();
    running = await machine.startLapsed();
  }, 60_000);
});

describe('saved metadata', () => {
  const files: readonly [string, (path: string) => void][] = [
    ['torn in the middle', (path) => truncateSync(path, Math.floor(readFileSync(path).length / 2))],
    ['empty', (path) => truncateSync(path, 0)],
    ['of zeros', (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
  ];

  it.each(files)(
    '%s: it does not start, with a code; and goes on with what was there before',
    async (_, damage) => {
      await saved('payments');
      await running.end();
      for (const name of ['trusted.json', `${versionOf('payments')}.payments.json`]) {
        copyFileSync(trust(name), join(machine.places.work, 'kept'));
        damage(trust(name));
        const refused = await machine.launchLapsed();
        expect((await refused.ended()).code).not.toBe(0);
        expect(refused.log).toContain('[trust-store-unreadable]');
        expect(machine.mounts).toEqual([]);
        renameSync(join(machine.places.work, 'kept'), trust(name));
      }
      running = await machine.startLapsed();
      await expect.poll(() => web.cat(`self/${secret}`), soon).toBe(secret);
    },
    60_000,
  );

  it('an index that was never replaced, beside files that are newer: what it names counts', async () => {
    await running.end();
    writeFileSync(trust('trusted.json.new'), '{"realm":');
    writeFileSync(trust('999.payments.json'), '{}');
    running = await machine.startLapsed();
    await expect.poll(() => web.cat(`self/${secret}`), soon).toBe(secret);
  });
});

describe('a disk', () => {
  /** To the last byte, also those that are given back by whoever has just saved. */
  async function fill(path: string): Promise<void> {
    const file = openSync(path, 'w');
    for (let before = -1, length = 0; length > before;) {
      before = length;
      expect(() => {
        for (;;) length += writeSync(file, Buffer.alloc(4096));
      }).toThrow('ENOSPC');
      await sleep(QUIET_MS);
    }
    closeSync(file);
  }

  function run(program: string, ...args: readonly string[]): void {
    const { status, stderr } = spawnSync(program, args, { timeout: 20_000, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program}: ${stderr}`);
  }

  function tried(...command: Parameters<typeof run>): true | undefined {
    try {
      run(...command);
      return true;
    } catch {
      return undefined;
    }
  }

  it.each([
    ['that is full', (): Promise<void> => fill(trust('filler')), (): void => rmSync(trust('filler'))],
    [
      'that turns read-only',
      // Refused as long as somebody writes.
      (): Promise<true> =>
        until('a disk that is read-only', () => Promise.resolve(tried('mount', '-o', 'remount,ro', trust()))),
      (): void => run('mount', '-o', 'remount,rw', trust()),
    ],
  ])(
    '%s: revocations go on, leases run out, and it says why; all is back with the disk',
    async (_, spoil, mend) => {
      await running.end();
      const elsewhere = join(machine.places.work, 'trust-kept');
      renameSync(trust(), elsewhere);
      mkdirSync(trust());
      run('mount', '-t', 'tmpfs', '-o', 'size=1m,mode=700', 'none', trust());
      run('cp', '-a', `${elsewhere}/.`, trust());
      running = await machine.startLapsed();
      await machine.put('payments/kept', 'kept');
      await expect.poll(() => web.cat('self/kept'), soon).toBe('kept');
      await saved('payments');
      await spoil();
      await machine.publish(machine.realm.revoke('payments', secret, 1));
      await expect.poll(() => web.cat(`self/${secret}`), soon).toBe('ENOENT');
      const { lastError } = await machine.statusOf(
        'a refusal',
        (status) => status.lastError?.includes('cannot write') === true,
      );
      expect(lastError).toContain(trust());
      await expect.poll(() => web.cat('self/kept'), soon).toBe('EACCES');
      mend();
      await expect.poll(() => web.cat('self/kept'), soon).toBe('kept');
      expect(await web.cat(`self/${secret}`)).toBe('ENOENT');
      await saved('payments');
      await machine.publish(
        machine.realm.revoke('payments', 'kept', machine.realm.secret('payments', 'kept')!.newestVersion),
      );
      await running.end();
      run('umount', trust());
      rmSync(trust(), { recursive: true });
      rmSync(elsewhere, { recursive: true });
      running = await machine.startLapsed();
    },
    60_000,
  );
});
