// lapsed outlives its own process: after a crash it refuses until it has news, on SIGHUP nobody notices. What was taken
// back meanwhile stays away, and what nobody serves is withdrawn. Every reader here reads without a pause and tells every
// state that it saw; that it would tell a wrong one is shown first.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lapse } from '../../demo/programs.ts';
import { Host, soon, underHolder } from '../support/lapsed.ts';
import type { HolderLimits } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import type { Probe } from '../support/lapsed-probe.ts';
import { KINDS, Restless, compileRestless } from '../support/lapsed-restless.ts';
import type { Kind, Summary } from '../support/lapsed-restless.ts';
import { Watcher } from '../support/lapsed-watcher.ts';

const KILLS = 8;
const HANDOVERS = 5;
const DEAD_AFTER_MS = 1000;
/** More than this is a hang, and not a busy machine. */
const HANG_MS = 20_000;

// Read by the holder: these tests kill more often than a server may crash.
process.env['HOLD_MAX_CRASHES'] = '1000';

const pathOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const secretValue = (): string => randomBytes(24).toString('base64url');
const now = (): bigint => process.hrtime.bigint();
const milliseconds = (from: bigint, to: bigint): string => (Number(to - from) / 1e6).toFixed(0);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

let host: Host;
let web: Probe;
let program: string;
const started: Restless[] = [];

/** A machine that stands still for a moment ends no server, but where a test is about that. */
const PATIENT: HolderLimits = { deadAfterMs: 10_000, startMs: 15_000 };
let limits = PATIENT;

onOneMachine(async () => {
  host = await Host.start({ lapsed: false });
  program = await compileRestless(host.places.work);
  await startLapsed();
  web = await host.inWorkload('web');
  return host;
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') print(host.lapsed.log.split('\n').slice(-60).join('\n'));
  for (const reader of started.splice(0)) await reader[Symbol.asyncDispose]();
  await host.startService();
});

async function startLapsed(): Promise<void> {
  await host.startLapsed({}, underHolder(host.places, limits));
}

async function restartLapsed(under: HolderLimits): Promise<void> {
  expect(await host.lapsed.end()).toMatchObject({ code: 0 });
  limits = under;
  await startLapsed();
}

async function reader(kind: Kind, name: string, value: string): Promise<Restless> {
  const target = { directory: join(host.mount, 'self'), name, value };
  const restless = await Restless.start(program, web.group, kind, target);
  started.push(restless);
  return restless;
}

/** Publishes a value, and starts a reader of each kind. */
async function readersOf(name: string, value: string): Promise<readonly Restless[]> {
  await host.put(name, value, '--grant', 'web');
  const readers: Restless[] = [];
  for (const kind of KINDS) readers.push(await reader(kind, name, value));
  expect(readers.map(({ state }) => state)).toEqual(KINDS.map(() => 'ok'));
  return readers;
}

const refusal = (kind: Kind): string => (kind === 'mapped' ? 'SIGBUS' : 'EACCES');

/** A value that was read since then; or a refusal, also of what was asked before. */
function allSee(readers: readonly Restless[], state: (kind: Kind) => string, since: bigint) {
  return Promise.all(
    readers.map((reader) => {
      const wanted = state(reader.kind);
      const at = wanted === 'ok' ? 'begin' : 'end';
      return reader.sees(wanted, (change) => change[at] > since && change.state === wanted);
    }),
  );
}

/** Ends it: it saw no other states than these, and nothing took long. */
async function expectOnly(reader: Restless, ...states: readonly string[]): Promise<Summary> {
  const summary = await reader.finish();
  const others = Object.entries(summary.counts).filter(([state]) => !states.includes(state));
  expect(others, reader.kind).toEqual([]);
  expect(summary.longestMs, reader.kind).toBeLessThan(HANG_MS);
  return summary;
}

/** What stat(1) says to the workload. */
async function stat(place: string): Promise<string> {
  const script = 'echo $$ >"$1" && exec stat -L -c "%i %s %Y" "$2"';
  const child = spawn('sh', ['-c', script, 'sh', web.group.procs, place], { timeout: HANG_MS });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return said.trim();
}

const statHeld = (descriptor: string): Promise<string> => stat(`/proc/${web.pid}/fd/${descriptor}`);

it('control: a reader tells what is wrong', async () => {
  const value = secretValue();
  const rights = await readersOf('control', value);
  for (const kind of KINDS) {
    const other = kind === 'around' ? value.slice(1) : `${value.slice(1)}x`;
    const wrong = await reader(kind, 'control', other);
    expect((await wrong.finish()).counts).toEqual({ WRONG: expect.any(Number) as number });
  }
  for (const kind of ['name', 'around'] as const) {
    const absent = await reader(kind, 'absent', value);
    expect((await absent.finish()).counts).toEqual({ ENOENT: expect.any(Number) as number });
  }
  const since = now();
  await host.revoke('control');
  for (const right of rights) {
    await right.sees('its end', ({ begin, state }) => begin > since && state !== 'ok');
  }
});

describe('after a crash', () => {
  it('everything is refused until there is news; then what was open goes on', async () => {
    const value = secretValue();
    const readers = await readersOf('kept', value);
    const held = await web.open('self/kept');
    const [before, { workloads }] = [await statHeld(held), await host.status()];
    expect(before).toMatch(/^\d+ 32 \d+$/);
    expect(workloads).toHaveLength(1);

    await host.stopService();
    const { server } = host.lapsed;
    const killed = now();
    host.lapsed.signalServer('SIGKILL');
    await host.lapsed.serverAfter(server);
    await allSee(readers, refusal, killed);
    const refusing = await host.statusOf('failure', ({ lastError }) => lastError !== null);
    expect(refusing.lease.holds).toBe(false);
    for (const answer of [web.cat('self/kept'), web.read(held), web.list('self'), web.cat('self/absent')])
      expect(await answer).toBe('EACCES');
    expect(await web.link('self'), 'it is known who asks').toBe('w/web');

    await host.startService();
    await allSee(readers, () => 'ok', killed);
    expect(await web.read(held)).toBe(value);
    expect(await statHeld(held), 'the same file, with the same times').toBe(before);
    expect(await stat(join(host.mount, 'self/kept'))).toBe(before);
    expect((await host.status()).workloads).toEqual(workloads);
    // Not before all of the realm was looked at.
    await expect.poll(() => web.cat('self/absent'), soon).toBe('ENOENT');
    for (const reader of readers) await expectOnly(reader, 'ok', refusal(reader.kind));
  });

  it(`${KILLS} times in a row: readers see refusals, and nothing else`, async () => {
    const readers = await readersOf('often', secretValue());
    const times: bigint[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const killed = now();
      host.lapsed.signalServer('SIGKILL');
      const answered = await allSee(readers, () => 'ok', killed);
      times.push(answered[KINDS.indexOf('held')]!.end - killed);
    }
    for (const reader of readers) await expectOnly(reader, 'ok', refusal(reader.kind));
    const sorted = times.toSorted((a, b) => Number(a - b)).map((time) => milliseconds(0n, time));
    print(
      `kill to first read: median ${sorted[KILLS / 2] ?? ''} ms, longest ${sorted.at(-1) ?? ''} ms of ${KILLS}`,
    );
  });

  /** What is published while neither the server nor the holder runs; then the server dies, and the holder replaces it. */
  async function meanwhile(publish: () => Promise<unknown>): Promise<{ stopped: bigint; published: bigint }> {
    const { server } = host.lapsed;
    host.lapsed.signal('SIGSTOP');
    const stopped = now();
    try {
      process.kill(server, 'SIGSTOP');
      await publish();
    } finally {
      process.kill(server, 'SIGKILL');
      host.lapsed.signal('SIGCONT');
    }
    const published = now();
    await host.lapsed.serverAfter(server, HANG_MS);
    return { stopped, published };
  }

  it('what was revoked meanwhile is never read again', async () => {
    const readers = await readersOf('gone', secretValue());
    const held = await web.open('self/gone');
    const { stopped, published } = await meanwhile(() =>
      host.lapse('revoke', 'payments/gone', '--yes', '--no-wait'),
    );
    const final = (kind: Kind): string => (kind === 'held' || kind === 'mapped' ? refusal(kind) : 'ENOENT');
    await allSee(readers, final, stopped);
    await host.statusOf('news', ({ lease }) => lease.holds);
    expect(await web.read(held)).toBe('EACCES');
    for (const reader of readers) {
      expect(reader.state).toBe(final(reader.kind));
      const { last } = await expectOnly(reader, 'ok', refusal(reader.kind), final(reader.kind));
      // A page that is cached needs no server, until the next one withdraws it.
      const end =
        reader.kind === 'mapped' ? reader.changes.find(({ state }) => state === 'SIGBUS') : undefined;
      expect(last['ok'] ?? 0n, reader.kind).toBeLessThan(end?.begin ?? published);
    }
  });

  it('what was rotated meanwhile is read anew, and who watches is told', async () => {
    const [old, fresh] = [secretValue(), secretValue()];
    await host.put('turned', old, '--grant', 'web');
    const held = await web.open('self/turned');
    await using watcher = await Watcher.inotify(web, host.mount, 'w/web');
    await meanwhile(() => lapse(host.places, ['rotate', 'payments/turned', '--no-wait'], Buffer.from(fresh)));
    await expect.poll(() => web.cat('self/turned'), { timeout: HANG_MS }).toBe(fresh);
    expect(await watcher.upTo('w/web MODIFY turned')).toHaveLength(1);
    expect(await web.read(held)).toBe(old);
  });
});

describe("the dead-man's switch", () => {
  beforeAll(() => restartLapsed({ ...PATIENT, deadAfterMs: DEAD_AFTER_MS }));

  it.each(['SIGSTOP', 'SIGKILL'] as const)('%s: what is held is withdrawn', async (signal) => {
    const readers = await readersOf(`switch-${signal.toLowerCase()}`, secretValue());
    await host.stopService();
    const { server } = host.lapsed;
    const sent = now();
    host.lapsed.signalServer(signal);
    const dead = await allSee(readers, refusal, sent);
    const [descriptor, mapping] = (['held', 'mapped'] as const).map((kind) =>
      milliseconds(sent, dead[KINDS.indexOf(kind)]!.end),
    );
    print(
      `${signal}, limit ${DEAD_AFTER_MS} ms: descriptor dead after ${descriptor} ms, mapping after ${mapping} ms`,
    );
    expect(host.lapsed.server).not.toBe(server);
    await host.startService();
    await allSee(readers, () => 'ok', sent);
    for (const reader of readers) await expectOnly(reader, 'ok', refusal(reader.kind));
  });
});

/** Runs the OCI hook as a runtime does. */
async function hook(stage: 'create' | 'delete', probe: Probe): Promise<void> {
  const command = [stage, '--socket', host.places.control];
  const child = spawn(pathOf('bin/lapse-oci-hook'), command, { timeout: HANG_MS });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const annotations = { 'dev.lapse.workload': 'web' };
  const state = { ociVersion: '1.0.2', id: probe.group.name, status: 'created', bundle: '/', annotations };
  child.stdin.end(JSON.stringify({ ...state, pid: stage === 'create' ? probe.pid : 0 }));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`hook ${stage}: ${code ?? 'killed'} ${said}`);
}

describe('a hand-over', () => {
  // Not about the dead-man's switch: the holder itself is stopped for a while.
  beforeAll(() => restartLapsed(PATIENT));

  async function handOver(): Promise<void> {
    const { pid, server } = host.lapsed;
    host.lapsed.signal('SIGHUP');
    await host.lapsed.serverAfter(server, HANG_MS);
    expect(host.lapsed.pid).toBe(pid);
    expect(host.lapsed.running).toBe(true);
  }

  const dead = (kind: Kind): string => (kind === 'held' || kind === 'mapped' ? refusal(kind) : 'ENOENT');

  /** None of them reads a value any more that it once could not. */
  async function expectDead(readers: readonly Restless[]): Promise<void> {
    await allSee(readers, dead, 0n);
    for (const reader of readers) {
      expect(reader.changes.filter(({ state }) => state === 'ok')).toHaveLength(1);
      expect(reader.state).toBe(dead(reader.kind));
      await expectOnly(reader, 'ok', refusal(reader.kind), 'ENOENT');
    }
  }

  /** Containers that come and go; how many. */
  async function containers(value: string, signal: AbortSignal): Promise<number> {
    for (let count = 0; ; count++) {
      if (signal.aborted) return count;
      await using probe = await host.unregistered();
      await hook('create', probe);
      expect(await probe.cat('self/steady')).toBe(value);
      await hook('delete', probe);
      expect(await probe.link('self')).toBe('ENOENT');
    }
  }

  async function handOvers(): Promise<void> {
    const { files, workloads } = await host.status();
    for (let i = 0; i < HANDOVERS; i++) {
      await handOver();
      const status = await host.statusOf('answer', () => true);
      expect(status.files).toEqual(files);
      expect(status.lease.holds).toBe(true);
      expect(status.workloads).toEqual(expect.arrayContaining([...workloads]));
    }
  }

  it(`${HANDOVERS} times: no reader sees anything, no container waits in vain`, async () => {
    const value = secretValue();
    const readers = await readersOf('steady', value);
    const enough = new AbortController();
    const [count] = await Promise.all([
      containers(value, enough.signal),
      handOvers().finally(() => enough.abort()),
    ]);
    expect(count).toBeGreaterThan(0);
    const longest: number[] = [];
    for (const reader of readers) longest.push((await expectOnly(reader, 'ok')).longestMs);
    print(`${HANDOVERS} hand-overs: a reader waited ${Math.max(...longest).toFixed(0)} ms at most`);
  });

  it('what is revoked right after it is dead', async () => {
    const readers = await readersOf('after', secretValue());
    await handOver();
    await host.revoke('after');
    await expectDead(readers);
  });

  it('what is revoked during it is dead', async () => {
    const readers = await readersOf('during', secretValue());
    const { server } = host.lapsed;
    host.lapsed.signal('SIGHUP');
    await host.lapse('revoke', 'payments/during', '--yes', '--no-wait');
    await host.lapsed.serverAfter(server, HANG_MS);
    await expectDead(readers);
  });

  /** What the next one, which is ready, does not hear; then it takes over, after what is done to the old one. */
  async function revokeUnheard(name: string, end: (server: number) => void): Promise<void> {
    const { server } = host.lapsed;
    const [begun, loaded] = [/next: started/, /^<6>lapsed: everything is loaded/];
    const timesOf = (line: RegExp): number => host.lapsed.log.match(new RegExp(line, 'gm'))?.length ?? 0;
    const [timesBegun, timesLoaded] = [timesOf(begun), timesOf(loaded)];
    host.lapsed.signal('SIGHUP');
    await host.lapsed.said(begun, timesBegun + 1);
    host.lapsed.signal('SIGSTOP');
    // Which it says when the holder can know.
    await host.lapsed.said(loaded, timesLoaded + 1);
    const next = host.lapsed.processes.filter((pid) => pid !== server && pid !== host.lapsed.pid);
    for (const pid of next) process.kill(pid, 'SIGSTOP');
    try {
      await host.revoke(name);
      end(server);
    } finally {
      host.lapsed.signal('SIGCONT');
      await host.lapsed.serverAfter(server, HANG_MS).finally(() => {
        for (const pid of next) process.kill(pid, 'SIGCONT');
      });
    }
  }

  it('what was revoked before the next one heard of it is dead', async () => {
    const readers = await readersOf('unheard', secretValue());
    await revokeUnheard('unheard', () => undefined);
    await expectDead(readers);
  });

  it('also when the old one dies before it could say so: then the next one does not serve', async () => {
    const readers = await readersOf('untold', secretValue());
    await revokeUnheard('untold', (server) => process.kill(server, 'SIGKILL'));
    await host.lapsed.said(/fatal: the server before this one did not say how far it was/);
    await host.statusOf('lease', ({ lease }) => lease.holds);
    const states = () => readers.map(({ state }) => state);
    await expect.poll(states, { timeout: HANG_MS }).toEqual(readers.map(({ kind }) => dead(kind)));
    await expectDead(readers);
  });

  it('without news for the next one, the old one goes on', async () => {
    await restartLapsed({ ...PATIENT, startMs: 6000 });
    const value = secretValue();
    const readers = await readersOf('lonely', value);
    const { server } = host.lapsed;
    await host.stopService();
    host.lapsed.signal('SIGHUP');
    await host.lapsed.said(/the next server \d+ was not ready within/, 1, HANG_MS);
    expect(host.lapsed.server).toBe(server);
    await host.startService();
    // Which has as little time, and may need another try.
    await expect.poll(() => handOver().then(() => true), { timeout: 2 * HANG_MS }).toBe(true);
    for (const reader of readers) await expectOnly(reader, 'ok');
  }, 120_000);
});

it('a revocation is in effect for everything that is held, when that is said', async () => {
  const views = Array.from({ length: 10 }, (_, i) => `view-${i}`);
  const value = secretValue();
  await host.put('many', value, ...views.flatMap((view) => ['--grant', view]));
  const holders: { probe: Probe; held: string }[] = [];
  for (const view of [...views, ...views]) {
    const probe = await host.inWorkload(view);
    const held = await probe.open('self/many');
    await probe.map(held);
    expect([await probe.read(held), await probe.touch()]).toEqual([value, value]);
    holders.push({ probe, held });
  }
  await host.revoke('many');
  for (const { probe, held } of holders)
    expect([await probe.touch(), await probe.read(held)]).toEqual(['SIGBUS', 'EACCES']);
});
