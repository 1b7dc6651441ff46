// A secret taken back, as a container sees it: Lapse, and beside it, in one run, what a user would take instead: etcd
// with `etcdctl watch` rewriting a file on tmpfs, and a poller. `npm run bench -- revoke [--trials N] [--poll SECONDS]`.
// Service and etcd have one part of the CPUs, daemon, watcher and readers the other (demo/cpus.ts); all of them are put
// ahead of the neighbours alike.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../client/clock.ts';
import { makePlaces } from '../demo/programs.ts';
import type { Places } from '../demo/programs.ts';
import { Stage } from '../demo/stage.ts';
import type { Findings } from './findings.ts';
import { Etcd, freePort } from './revoke/etcd.ts';
import { Lapse } from './revoke/lapse.ts';
import { outcomeOf } from './revoke/outcome.ts';
import type { Outcome } from './revoke/outcome.ts';
import { Pollers, SPARE_MS } from './revoke/pollers.ts';
import { Readers } from './revoke/readers.ts';
import { report } from './revoke/report.ts';
import type { Subject, TakenBack } from './revoke/subject.ts';
import { Watched } from './revoke/watched.ts';
import { sessionAhead } from './session.ts';

const MOST_TRIALS = 1000;
const MOST_SECONDS = 3600;
const WARM_UP = 2;
const SABOTAGED_TRIALS = 2;
const SABOTAGE = fileURLToPath(new URL('../demo/sabotage/lapsed.ts', import.meta.url));
/** How long after clock zero what can still be read counts as left open. */
const LOOK_MS = 2000;
/** After what was started, and between two acts. */
const SETTLE_MS = 150;

const clock = systemClock();

export async function revoke(parameters: readonly string[]): Promise<Findings> {
  const { trials, pollSeconds } = options(parameters);
  using _ahead = sessionAhead();
  const readers = new Readers(clock);
  const resources = new AsyncDisposableStack();
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => (ended ??= readers.stopAll().finally(() => resources.disposeAsync()));
  const interrupted = (): void => void end().finally(() => process.exit(130));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, interrupted);
  try {
    return await compare(trials, pollSeconds, readers, resources);
  } finally {
    progress('');
    await end();
    for (const signal of signals) process.off(signal, interrupted);
  }
}

function options(parameters: readonly string[]): { trials: number; pollSeconds: number } {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      trials: { type: 'string', default: '50' },
      poll: { type: 'string', default: '60' },
    },
  });
  const [trials, pollSeconds] = [Number(values.trials), Number(values.poll)];
  if (!(Number.isInteger(trials) && trials > 0 && trials <= MOST_TRIALS))
    throw new Error(`--trials: 1 to ${MOST_TRIALS}`);
  if (!(pollSeconds > 0 && pollSeconds <= MOST_SECONDS)) throw new Error(`--poll: up to ${MOST_SECONDS} s`);
  return { trials, pollSeconds };
}

async function compare(
  trials: number,
  pollSeconds: number,
  readers: Readers,
  resources: AsyncDisposableStack,
): Promise<Findings> {
  const [stage, spare] = [await newStage(resources), await newStage(resources)];
  const lapse = await Lapse.start(stage, readers);
  const places = onTmpfs(stage.places, resources);
  const etcd = resources.use(new Etcd(places, clock, await freePort()));
  const etcdVersion = await etcd.ready();
  const watched = resources.use(new Watched(places, clock, etcd, readers));
  await watched.ready();
  const pollers = resources.use(new Pollers(places, clock, etcd, readers, pollSeconds));
  await pollers.prepare();
  const measure = async () => {
    const { lapse: first, etcd: second } = await rounds(trials, { lapse, etcd: watched }, readers);
    const sabotaged = await sabotage(spare, readers);
    progress('waiting for the pollers');
    return { first, second, sabotaged };
  };
  const [poller, { first, second, sabotaged }] = await Promise.all([pollers.run(), measure()]);
  return report({
    trials,
    etcdVersion,
    pollSeconds,
    lookMs: { lapse: LOOK_MS, etcd: LOOK_MS, poller: pollSeconds * 1000 + SPARE_MS },
    outcomes: { lapse: first, etcd: second, poller },
    sabotaged,
  });
}

async function newStage(resources: AsyncDisposableStack): Promise<Stage> {
  const stage = new Stage(await makePlaces(await mkdtemp(join(tmpdir(), 'lapse-revoke-'))), clock);
  resources.defer(() => stage.clear());
  return stage;
}

/** The same places, but containers see a tmpfs of their own. */
function onTmpfs(places: Places, resources: AsyncDisposableStack): Places {
  const shared = join(places.work, 'tmpfs');
  mkdirSync(shared);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=755', 'lapse-bench', shared]);
  resources.defer(() => void execFileSync('umount', ['-l', shared]));
  mkdirSync(join(shared, 'watched'));
  return { ...places, shared };
}

type Names = 'lapse' | 'etcd';

/** Both in each round, in turns who is first; the first rounds do not count. */
async function rounds(
  trials: number,
  subjects: Readonly<Record<Names, Subject>>,
  readers: Readers,
): Promise<Readonly<Record<Names, readonly Outcome[]>>> {
  const found: Record<Names, Outcome[]> = { lapse: [], etcd: [] };
  for (let trial = -WARM_UP; trial < trials; trial++) {
    const order: readonly Names[] = trial % 2 === 0 ? ['lapse', 'etcd'] : ['etcd', 'lapse'];
    const outcomes = await round(
      String(trial + WARM_UP),
      order.map((name) => subjects[name]),
      readers,
    );
    order.forEach((name, i) => {
      const outcome = outcomes[i];
      if (trial >= 0 && outcome) found[name].push(outcome);
    });
    progress(`${Math.max(0, trial + 1)} of ${trials} trials`);
  }
  return found;
}

/** Everybody gives, then takes back one after the other; all are looked at for as long. */
async function round(
  trial: string,
  subjects: readonly Subject[],
  readers: Readers,
): Promise<readonly Outcome[]> {
  const given = await Promise.all(subjects.map((subject) => subject.give(trial)));
  const taken: TakenBack[] = [];
  for (const subject of subjects) {
    await clock.sleep(SETTLE_MS);
    taken.push(await subject.takeBack());
  }
  await clock.sleep(LOOK_MS + SETTLE_MS);
  await Promise.all(given.map((reader) => readers.stop(reader)));
  return given.map((reader, i) => outcomeOf(reader.records(), taken[i]!, LOOK_MS));
}

/** The control: a realm of its own, whose daemon does not tell the kernel to forget. */
async function sabotage(stage: Stage, readers: Readers): Promise<readonly Outcome[]> {
  progress('the sabotaged daemon');
  const lapse = await Lapse.start(stage, readers, [process.execPath, SABOTAGE, 'no-invalidate']);
  const found: Outcome[] = [];
  for (let trial = 0; trial < SABOTAGED_TRIALS; trial++)
    found.push(...(await round(`sabotaged-${trial}`, [lapse], readers)));
  return found;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
