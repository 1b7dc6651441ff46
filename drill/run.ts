// One drill, against a fleet of this machine: the operator's own command, `lapse drill KIND`, and where the kind is about harm
// also what only the owner of the machine can do: cut lines, move wall clocks, strike the service.
import { fileURLToPath } from 'node:url';
import type { Clock } from '../client/clock.ts';
import { splitCpus, undividedCpus } from '../demo/cpus.ts';
import { lapse } from './command.ts';
import { cutTrial } from './cuts.ts';
import { Fleet } from './fleet.ts';
import { judgeReport } from './judge.ts';
import type { Report } from './judge.ts';
import type { Options } from './options.ts';
import { outageTrial } from './outages.ts';
import { Outside, succeed } from './outside.ts';
import { resultOf } from './result.ts';
import type { FromOutside, Result } from './result.ts';
import { Standstills } from './standstills.ts';
import type { StoodStill } from './standstills.ts';
import { jumpWhileCut } from './wall-jumps.ts';

const WITH_WALL_CLOCK = fileURLToPath(new URL('./lapsed.ts', import.meta.url));
const SABOTAGED = fileURLToPath(new URL('../demo/sabotage/lapsed.ts', import.meta.url));

/** What a run is given. */
export interface Setting {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What is being done, one line each. */
  readonly say: (what: string) => void;
}

/** Its namespace for drills is there. The caller disposes it. */
export async function startFleet(options: Options, { clock, signal, say }: Setting): Promise<Fleet> {
  const { hosts, leaseS, delayMs } = options;
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(
    await Fleet.start(
      {
        hosts,
        lease: `${leaseS}s`,
        cpus: hosts === 1 ? splitCpus() : undividedCpus(),
        network: delayMs === undefined ? undefined : { delayMs },
        settings: ['drill = "crash"', 'drill_cap = 100000'],
        command: commandFor(options),
        say,
        signal,
      },
      clock,
    ),
  );
  await succeed(fleet, clock, signal, ['drill', 'enable']);
  stack.move();
  return fleet;
}

/** Only where it is needed: else the very lapsed that people run. */
function commandFor({ kind, sabotage }: Options): ((wall: string) => [string, ...string[]]) | undefined {
  if (sabotage !== undefined) return () => [process.execPath, SABOTAGED, sabotage];
  if (kind === 'partition') return (wall) => [process.execPath, WITH_WALL_CLOCK, wall];
  return undefined;
}

/** `page` is the file for the report. What is broken already is not looked at from outside. */
export async function runDrill(
  fleet: Fleet,
  options: Options,
  page: string,
  setting: Setting,
): Promise<Result> {
  if (options.kind === 'crash') for (const host of fleet.hosts) host.supervise();
  await using standstills = await Standstills.start();
  const ordered = new AbortController();
  const isCut = options.kind === 'partition';
  const jumping = isCut ? jumpWhileCut(fleet.hosts, setting.clock, ordered.signal) : undefined;
  const report = await order(fleet, options, page, setting).finally(() => ordered.abort());
  const cuts = await jumping;
  const judged = judgeReport(report, standstills.between, cuts?.begun);
  const outside =
    judged.problems.length === 0 ? await fromOutside(fleet, options, setting, standstills.between) : {};
  const restarts = fleet.hosts.reduce((sum, host) => sum + host.restarts, 0);
  return resultOf(options, report, judged, outside, { restarts, wallClockJumps: cuts?.jumps ?? 0 });
}

async function order(
  { places }: Fleet,
  { kind, trials, warmUp, slo }: Options,
  page: string,
  { clock, signal, say }: Setting,
): Promise<Report> {
  const warming = warmUp === undefined ? [] : ['--warm-up', String(warmUp)];
  const objectives = slo.flatMap((text) => ['--slo', text]);
  const counted = ['--trials', String(trials), ...warming, ...objectives];
  const args = ['drill', kind, '--yes', ...counted, '--report', page];
  say(`lapse drill ${kind}, ${trials} trials`);
  const { json, code } = await lapse(places, clock, args, { shown: true, signal });
  signal.throwIfAborted();
  if (json === undefined) throw new Error(`lapse drill ${kind} ended with ${code ?? 'a signal'}`);
  return json as Report;
}

async function fromOutside(
  fleet: Fleet,
  options: Options,
  setting: Setting,
  stoodStill: StoodStill,
): Promise<FromOutside> {
  const { kind, trials, leaseS } = options;
  if (kind !== 'partition' && kind !== 'crash') return {};
  const { clock, signal, say } = setting;
  await using outside = await Outside.start(fleet, { clock, signal, stoodStill });
  if (kind === 'partition') {
    say('from outside: lines are cut, and wall clocks jump');
    return { cuts: await each(trials, (number) => cutTrial(outside, number, leaseS * 1000)) };
  }
  say('from outside: the service is killed and stopped');
  return { outages: await each(Math.ceil(trials / 2), (number) => outageTrial(outside, number)) };
}

async function each<T>(count: number, work: (number: number) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  for (let number = 0; number < count; number++) {
    results.push(await work(number));
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${number + 1} of ${count}\r`);
  }
  return results;
}
