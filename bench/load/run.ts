// One run of the mixed load: a real service and a real lapsed, readers that never rest, operators and engines that change
// everything, and disturbances; the last third is without these, to see what grows. It ends in order, and leaves nothing.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { plantedHits, scan } from '../../demo/disk-scan.ts';
import { Host } from '../../test/support/lapsed.ts';
import { Publisher } from '../../test/support/lapsed-publisher.ts';
import { compileGuest } from '../guest.ts';
import { sessionAhead } from '../session.ts';
import { now } from './certainty.ts';
import { Changes } from './changes.ts';
import { plantedAttempts, plantedFiles, plantedLeaks } from './controls.ts';
import type { Planted } from './controls.ts';
import { Disturbances } from './disturbances.ts';
import { growth, measure } from './health.ts';
import type { Growth, Measure } from './health.ts';
import { Ledger } from './ledger.ts';
import { Reader } from './readers.ts';
import { Stalls } from './stalls.ts';
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
const PAUSES = { rotation: 400, revocation: 3000, regrant: 4000, churn: 3000, disturbance: 4000 } as const;
const JUDGE_MS = 500;
const MEASURE_MS = 2000;
const TELL_MS = 30_000;
/** So much of the time is disturbed; in the rest growth is measured. */
const DISTURBED = 1 / 2;
const END_MS = 5000;

export interface Outcome {
  readonly attempts: Ledger['attempts'];
  readonly results: Ledger['results'];
  readonly slowestMs: number;
  readonly changes: Changes['counts'];
  readonly disturbances: Disturbances['counts'];
  readonly recoveriesMs: readonly number[];
  /** Times at which the machine stood still, and attempts that took too long by that. */
  readonly stalls: { readonly count: number; readonly longestMs: number; readonly attempts: number };
  readonly growth: { readonly server: Growth; readonly holder: Growth };
  readonly violationCount: number;
  readonly violations: readonly string[];
  readonly planted: readonly Planted[];
  /** What was done and when, and what the server said; only where something is wrong. */
  readonly events: readonly string[];
}

interface Stage {
  readonly host: Host;
  readonly program: string;
  readonly marker: string;
  readonly world: World;
  readonly readers: readonly Reader[];
  readonly ledger: Ledger;
  readonly stalls: Stalls;
  readonly watch: Watch;
  readonly changes: Changes;
  readonly disturbances: Disturbances;
}

export async function run(minutes: number, tell: (line: string) => void): Promise<Outcome> {
  using _ahead = sessionAhead();
  await using host = await Host.start({ lease: LEASE, onDisk: false });
  await using resources = new AsyncDisposableStack();
  const stage = await setUp(host, resources);
  const { ledger, changes, watch, readers } = stage;
  const [started, length] = [performance.now(), minutes * 60_000];
  const judging = setInterval(() => ledger.settle(), JUDGE_MS);
  const telling = setInterval(() => tell(progress(stage, performance.now() - started)), TELL_MS);
  resources.defer(() => [judging, telling].forEach((timer) => clearInterval(timer)));

  change(stage);
  await disturb(stage, started + length * DISTURBED);
  const grown = await watchGrowth(stage, started + length);

  await changes.stop();
  for (const reader of readers)
    if (!(await reader.end())) ledger.complain(`a reader of ${reader.workload.name} is stuck`);
  clearInterval(judging);
  await watch.stop();
  ledger.settle(true);
  await endHost(stage);
  return await conclude(stage, grown);
}

async function setUp(host: Host, resources: AsyncDisposableStack): Promise<Stage> {
  const marker = `lapse-load-${randomBytes(8).toString('hex')}`;
  const program = compileGuest(new URL('reader.c', import.meta.url));
  const { control: socket } = host.places;
  const world = new World(OVERLAPS, [...STEADY, ...CHURNED]);
  const stalls = resources.use(new Stalls());
  const readers: Reader[] = [];
  const ledger = new Ledger(world, readers, stalls);
  for (const workload of [...world.workloads, ...world.workloads.filter(isSteady)]) {
    const other = world.workloads.find(({ name }) => name !== workload.name)!.name;
    const command = [program, 'load', host.mount, workload.name, other, marker, String(OVERLAPS.length)];
    const seed = String(randomBytes(4).readUInt32LE());
    const reader = new Reader(workload, [...command, seed, String(PAUSE_US)], (attempt) =>
      ledger.note(workload, attempt),
    );
    readers.push(resources.use(reader));
    await reader.begun;
    await reader.guest.register(socket);
  }
  const settle = (): Promise<void> => readers[0]!.guest.register(socket);
  const complain = (violation: string): void => ledger.complain(violation);
  const watch = new Watch(host, settle, (pid) => disturbances.resumed(pid));
  resources.defer(() => watch.stop());
  await putAll(host, world, watch, marker);
  const publisher = await Publisher.open(host.places);
  const onFailure = (error: unknown): void => complain((error as Error).message);
  const changes = new Changes({ world, publisher, watch, marker, socket, onFailure });
  const disturbances = new Disturbances({ host, world, watch, changes, stalls, complain });
  world.serving.set('yes', await disturbances.serves('everything', () => true));
  return { host, program, marker, world, readers, ledger, stalls, watch, changes, disturbances };
}

function isSteady({ name }: Workload): boolean {
  return STEADY.includes(name);
}

/** By the operator's command, which alone can say how long versions overlap. */
async function putAll(host: Host, world: World, watch: Watch, marker: string): Promise<void> {
  const grants = world.workloads.flatMap(({ name }) => ['--grant', name]);
  for (const secret of world.secrets) {
    const began = now();
    const version = world.putBegins(secret, began);
    const value = valueOf(marker, secret.index, version.version);
    await host.put(secret.name, value, '--overlap', `${secret.overlapSeconds}s`, ...grants);
    world.shown(secret, version, await watch.effect(secret.pathOf(version.version), 'shown', began));
  }
}

function change({ changes, readers }: Stage): void {
  changes.repeat(PAUSES.rotation, () => changes.rotate());
  changes.repeat(PAUSES.revocation, () => changes.revoke());
  changes.repeat(PAUSES.regrant, () => changes.regrant());
  for (const reader of readers.filter(({ workload }) => !isSteady(workload)))
    changes.repeat(PAUSES.churn, () => changes.churn(reader));
}

async function disturb({ disturbances, ledger, watch }: Stage, until: number): Promise<void> {
  while (performance.now() < until && watch.lives) {
    await sleep(PAUSES.disturbance * (0.5 + Math.random()));
    await disturbances.any().catch((error: unknown) => ledger.complain((error as Error).message));
  }
}

async function watchGrowth({ watch, host, disturbances }: Stage, until: number): Promise<Outcome['growth']> {
  const server: Measure[] = [];
  const holder: Measure[] = [];
  for (let pid = watch.pid; performance.now() < until && watch.lives;) {
    await disturbances.quiet;
    // Another server begins anew.
    if (watch.pid !== pid) server.length = 0;
    pid = watch.pid;
    const [ofServer, ofHolder] = [measure(pid), measure(host.lapsed.pid)];
    if (ofServer) server.push(ofServer);
    if (ofHolder) holder.push(ofHolder);
    await sleep(MEASURE_MS);
  }
  return { server: growth('server', server, MEASURE_MS), holder: growth('holder', holder, MEASURE_MS) };
}

/** In order and in time, with nothing mounted any more, and without a word of a fault. */
async function endHost({ host, ledger }: Stage): Promise<void> {
  const { code, ms } = await host.lapsed.end();
  if (code !== 0 || ms > END_MS) ledger.complain(`lapsed ended with ${code} after ${Math.round(ms)} ms`);
  for (const type of host.mounts) ledger.complain(`a mount is left: ${type}`);
  const faults = host.lapsed.log.split('\n').filter((line) => /fault|fatal|cannot|giving up/.test(line));
  for (const line of faults) ledger.complain(`the log says: ${line}`);
}

async function conclude(stage: Stage, grown: Outcome['growth']): Promise<Outcome> {
  const { host, program, world, ledger, stalls, changes, disturbances } = stage;
  for (const problem of [...grown.server.problems, ...grown.holder.problems]) ledger.complain(problem);
  const planted = [
    ...plantedAttempts(ledger.samples),
    ...plantedFiles(program, join(host.places.work, 'planted-files')),
    ...plantedLeaks(),
    ...(await searchPlaintext(stage)),
  ];
  for (const { name, noticed } of planted)
    if (!noticed) ledger.complain(`a control was not noticed: ${name}`);
  const { attempts, results, slowestMs, violationCount, violations } = ledger;
  return {
    ...{ attempts, results, slowestMs, violationCount, violations, planted },
    changes: changes.counts,
    disturbances: disturbances.counts,
    recoveriesMs: disturbances.recoveriesMs,
    stalls: { count: stalls.count, longestMs: stalls.longestMs, attempts: ledger.stalled },
    growth: grown,
    events: violationCount > 0 ? [...world.events, ...host.lapsed.log.split('\n')] : [],
  };
}

/** In every file that service, daemon and operator have written. */
async function searchPlaintext({ host, marker, ledger }: Stage): Promise<readonly Planted[]> {
  const value = Buffer.from(marker);
  const { files, hits } = await scan(host.places.work, [value]);
  for (const path of hits) ledger.complain(`plaintext stands in ${path}`);
  const hasLog = files.has(join(host.places.logs, 'lapse-service.log'));
  return [
    { name: 'plaintext in a file', noticed: (await plantedHits(host.places.logs, value)) === 1 },
    { name: 'the logs are searched', noticed: hasLog },
  ];
}

function progress({ ledger, changes, disturbances }: Stage, ms: number): string {
  const counts = Object.entries({ ...changes.counts, ...disturbances.counts });
  const done = counts.map(([name, count]) => `${count} ${name}`).join(', ');
  return `${Math.round(ms / 1000)} s: ${ledger.total} attempts, ${done}; ${ledger.violationCount} violations`;
}
