// One run of the mixed load: a real service and a real lapsed, readers that never rest, operators and engines that change
// everything, and disturbances; the last third is without these, to see what grows. It ends in order, and leaves nothing.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { plantedHits, scan } from '../../demo/disk-scan.ts';
import { Host } from '../../test/support/lapsed.ts';
import { Publisher } from '../../test/support/lapsed-publisher.ts';
import { compileGuest } from '../guest.ts';
import { Changes } from './changes.ts';
import { plantedAttempts, plantedFiles, plantedLeaks } from './controls.ts';
import type { Planted } from './controls.ts';
import { Disturbances } from './disturbances.ts';
import { growth, measure } from './health.ts';
import type { Growth, Measure } from './health.ts';
import { Ledger } from './ledger.ts';
import { Reader } from './readers.ts';
import { Watch } from './watch.ts';
import { World, valueOf } from './world.ts';
import type { Workload } from './world.ts';

/** One secret each, in seconds. */
const OVERLAPS = [2, 2, 3, 3, 4, 5, 6, 8, 10, 15, 20, 30];
/** Two processes each, which stay. */
const STEADY = ['web', 'api', 'jobs'];
/** One process each, which is registered and unregistered. */
const CHURNED = ['batch', 'cron'];
/** Between two attempts of a reader, in the mean. */
const PAUSE_US = 1500;
const LEASE = '30s';
/** Milliseconds in the mean between two changes of a kind, or two disturbances. */
const PAUSES = { rotation: 400, revocation: 3000, regrant: 4000, churn: 3000, disturbance: 5000 } as const;
const JUDGE_MS = 500;
const MEASURE_MS = 2000;
const TELL_MS = 30_000;
/** After the last disturbance, before growth is measured. */
const WARM_MS = 15_000;
const END_MS = 5000;

export interface Outcome {
  readonly attempts: Ledger['attempts'];
  readonly results: Ledger['results'];
  readonly slowestMs: number;
  readonly changes: Changes['counts'];
  readonly disturbances: Disturbances['counts'];
  readonly recoveriesMs: readonly number[];
  readonly growth: { readonly server: Growth; readonly holder: Growth };
  readonly violationCount: number;
  readonly violations: readonly string[];
  readonly planted: readonly Planted[];
  /** What was done and when, and what the server said; only where something is wrong. */
  readonly events: readonly string[];
}

export async function run(minutes: number, tell: (line: string) => void): Promise<Outcome> {
  const marker = `lapse-load-${randomBytes(8).toString('hex')}`;
  await using host = await Host.start({ lease: LEASE });
  await using resources = new AsyncDisposableStack();
  const program = compileGuest(new URL('reader.c', import.meta.url));
  const world = new World(OVERLAPS, [...STEADY, ...CHURNED]);
  const readers: Reader[] = [];
  const ledger = new Ledger(world, readers);

  const startReader = async (workload: Workload): Promise<void> => {
    const other = world.workloads.find(({ name }) => name !== workload.name)!.name;
    const seed = String(randomBytes(4).readUInt32LE());
    const command = [program, 'load', host.mount, workload.name, other, marker];
    const reader = new Reader(
      workload,
      [...command, String(OVERLAPS.length), seed, String(PAUSE_US)],
      (attempt) => ledger.note(workload, attempt),
    );
    resources.use(reader);
    readers.push(reader);
    await reader.begun;
    await reader.guest.register(host.places.control);
  };
  for (const workload of world.workloads) {
    await startReader(workload);
    if (STEADY.includes(workload.name)) await startReader(workload);
  }
  const watch = new Watch(host, () => readers[0]!.guest.register(host.places.control));
  resources.defer(() => watch.stop());
  const grants = world.workloads.flatMap(({ name }) => ['--grant', name]);
  for (const secret of world.secrets) {
    const began = Number(process.hrtime.bigint());
    const version = world.putBegins(secret, began);
    const value = valueOf(marker, secret.index, version.version);
    await host.put(secret.name, value, '--overlap', `${secret.overlapSeconds}s`, ...grants);
    world.shown(secret, version, await watch.effect(secret.pathOf(version.version), 'shown', began));
  }
  const publisher = await Publisher.open(host.places);
  const changes = new Changes({
    ...{ world, publisher, watch, marker },
    socket: host.places.control,
    onFailure: (error) => ledger.complain((error as Error).message),
  });
  const disturbances = new Disturbances({ host, world, watch, changes });
  world.serving.set('yes', await disturbances.serves('everything', () => true));

  await using timers = new AsyncDisposableStack();
  const every = (ms: number, work: () => void): void => {
    const timer = setInterval(work, ms);
    timers.defer(() => clearInterval(timer));
  };
  every(JUDGE_MS, () => ledger.settle());
  const started = performance.now();
  every(TELL_MS, () => {
    const seconds = Math.round((performance.now() - started) / 1000);
    const counts = Object.entries({ ...changes.counts, ...disturbances.counts });
    const done = counts.map(([name, count]) => `${count} ${name}`).join(', ');
    tell(`${seconds} s: ${ledger.total} attempts, ${done}; ${ledger.violationCount} violations`);
  });
  changes.repeat(PAUSES.rotation, () => changes.rotate());
  changes.repeat(PAUSES.revocation, () => changes.revoke());
  changes.repeat(PAUSES.regrant, () => changes.regrant());
  for (const reader of readers.filter(({ workload }) => CHURNED.includes(workload.name)))
    changes.repeat(PAUSES.churn, () => changes.churn(reader));

  const length = minutes * 60_000;
  while (performance.now() - started < (length * 2) / 3) {
    await sleep(PAUSES.disturbance * (0.5 + Math.random()));
    await disturbances.any().catch((error: unknown) => ledger.complain((error as Error).message));
  }
  await sleep(Math.min(WARM_MS, length / 12));
  const series = { server: [] as Measure[], holder: [] as Measure[] };
  while (performance.now() - started < length) {
    series.server.push(measure(watch.pid));
    series.holder.push(measure(host.lapsed.pid));
    await sleep(MEASURE_MS);
  }

  await changes.stop();
  for (const reader of readers)
    if (!(await reader.end())) ledger.complain(`a reader of ${reader.workload.name} is stuck`);
  await timers.disposeAsync();
  ledger.settle(true);
  await watch.stop();
  await endHost(host, ledger);
  const grown = { server: growth('server', series.server), holder: growth('holder', series.holder) };
  for (const problem of [...grown.server.problems, ...grown.holder.problems]) ledger.complain(problem);
  const planted = [
    ...plantedAttempts(ledger.samples),
    ...plantedFiles(program, join(host.places.work, 'planted-files')),
    ...plantedLeaks(),
    ...(await plaintext(host, marker, ledger)),
  ];
  for (const { name, noticed } of planted)
    if (!noticed) ledger.complain(`a control was not noticed: ${name}`);
  return {
    attempts: ledger.attempts,
    results: ledger.results,
    slowestMs: ledger.slowestMs,
    changes: changes.counts,
    disturbances: disturbances.counts,
    recoveriesMs: disturbances.recoveriesMs,
    growth: grown,
    violationCount: ledger.violationCount,
    violations: ledger.violations,
    planted,
    events: ledger.violations.length > 0 ? [...world.events, ...host.lapsed.log.split('\n')] : [],
  };
}

/** In order and in time, with nothing mounted any more, and without a word of a fault. */
async function endHost(host: Host, ledger: Ledger): Promise<void> {
  const { code, ms } = await host.lapsed.end();
  if (code !== 0 || ms > END_MS) ledger.complain(`lapsed ended with ${code} after ${Math.round(ms)} ms`);
  for (const type of host.mounts) ledger.complain(`a mount is left: ${type}`);
  const faults = host.lapsed.log.split('\n').filter((line) => /fault|fatal|cannot|giving up/.test(line));
  for (const line of faults) ledger.complain(`the log says: ${line}`);
}

/** In every file that service, daemon and operator have written. */
async function plaintext(host: Host, marker: string, ledger: Ledger): Promise<readonly Planted[]> {
  const value = Buffer.from(marker);
  const { files, hits } = await scan(host.places.work, [value]);
  for (const path of hits) ledger.complain(`plaintext stands in ${path}`);
  const hasLog = files.has(join(host.places.logs, 'lapse-service.log'));
  return [
    { name: 'plaintext in a file', noticed: (await plantedHits(host.places.logs, value)) === 1 },
    { name: 'the logs are searched', noticed: hasLog },
  ];
}
