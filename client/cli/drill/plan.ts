// What a drill is asked to do, from its options: how many trials, on whom, how fast, and what it must show. And the order that
// says so to the hosts.
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { parseHostName, parseWorkload } from '../../../manifest/names.ts';
import type { HostName, Workload } from '../../../manifest/names.ts';
import { CRASH_MEANS, CRASH_VICTIMS, DRILL_LIMITS, PROBE } from '../../../manifest/realm/drill/order.ts';
import type { CrashOrder, DrillKind, DrillOrder } from '../../../manifest/realm/drill/order.ts';
import { parseSlo } from '../../drill/slo.ts';
import type { Slo } from '../../drill/slo.ts';
import { ClientError } from '../../errors.ts';
import { asUsage, collect, parseCount, parseMilliseconds } from '../options.ts';

export interface DrillOptions {
  readonly trials: string;
  readonly warmUp: string;
  readonly pace?: string;
  readonly hosts?: string;
  readonly share: string;
  readonly settle: string;
  readonly workload?: string;
  readonly timeout?: string;
  readonly slo?: readonly string[];
  readonly report?: string;
  readonly junit?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  /** Of `crash`. */
  readonly victims?: string;
  readonly means?: string;
  readonly within?: string;
}

export interface DrillPlan {
  readonly kind: DrillKind;
  readonly trials: number;
  readonly warmUp: number;
  /** From one trial's beginning to the next, at least. */
  readonly paceMs: number;
  /** Absent: all that serve the namespace. */
  readonly hosts?: readonly HostName[];
  /** Percent of the hosts that take part at once. */
  readonly share: number;
  readonly settleMs: number;
  readonly workload: Workload;
  /** How long a host may take to say that it is ready, or what it saw. Absent: what the kind needs. */
  readonly timeoutMs?: number;
  readonly crash?: CrashOrder;
  readonly slos: readonly Slo[];
  readonly report?: string;
  readonly junit?: string;
}

const DAY_MS = 24 * 3600_000;
const LONGEST_WAIT_MS = 3600_000;

export function withDrillOptions(command: Command): Command {
  return command
    .option('--trials <number>', 'how many trials are measured, 10000 at most', '20')
    .option('--warm-up <number>', 'how many come before them, and do not count', '3')
    .option('--pace <time>', 'one trial in so long a time, as 500ms or 2s (default: as fast as possible)')
    .option('--hosts <names>', 'who takes part, as web-1,web-2 (default: all that serve drill)')
    .option('--share <percent>', 'never more of the hosts at once: they take turns in groups', '100%')
    .option('--settle <time>', 'how long the probe is watched after the effect', '25ms')
    .option('--workload <name>', "practise in that container (default: lapsed's own probe)")
    .option('--timeout <time>', 'how long a host may take for a step (default: by the kind of drill)')
    .option('--slo <objective>', "what it must show, as 'revoke p99 < 250ms' (repeatable)", collect)
    .option('--report <file>', 'write a page for a browser')
    .option('--junit <file>', 'write a report for CI')
    .option('--dry-run', 'say what would happen, and publish nothing')
    .option('-y, --yes', 'do not ask');
}

export function withCrashOptions(command: Command): Command {
  return command
    .option('--victims <names>', `what is struck: of ${CRASH_VICTIMS.join(', ')}`, 'server')
    .option('--means <names>', `how: of ${CRASH_MEANS.join(', ')}`, CRASH_MEANS.join())
    .option('--within <time>', 'strike and revocation come at random moments within so long', '1s');
}

/** @throws ClientError usage */
export function parsePlan(kind: DrillKind, options: DrillOptions): DrillPlan {
  const { pace, hosts, workload, timeout, slo = [], report, junit } = options;
  const { least, most } = DRILL_LIMITS.settleMs;
  const trials = parseCount(options.trials, '--trials', 1, DRILL_LIMITS.trials);
  const warmUp = parseCount(options.warmUp, '--warm-up', 0, DRILL_LIMITS.trials);
  if (trials + warmUp > DRILL_LIMITS.trials) {
    const rule = `--trials and --warm-up are ${DRILL_LIMITS.trials} together, at most`;
    throw new ClientError('usage', rule);
  }
  return {
    kind,
    trials,
    warmUp,
    paceMs: pace === undefined ? 0 : parseMilliseconds(pace, '--pace', 1, LONGEST_WAIT_MS),
    ...(hosts !== undefined && { hosts: [...new Set(asUsage(() => hosts.split(',').map(parseHostName)))] }),
    share: parseShare(options.share),
    settleMs: parseMilliseconds(options.settle, '--settle', least, most),
    workload: workload === undefined ? PROBE : asUsage(() => parseWorkload(workload)),
    ...(timeout !== undefined && {
      timeoutMs: parseMilliseconds(timeout, '--timeout', 100, LONGEST_WAIT_MS),
    }),
    ...(kind === 'crash' && { crash: parseCrash(options) }),
    slos: slo.map(parseSlo),
    ...(report !== undefined && { report }),
    ...(junit !== undefined && { junit }),
  };
}

function parseShare(text: string): number {
  const [, digits = ''] = /^(\d{1,3})%$/.exec(text) ?? [];
  const share = digits === '' ? NaN : Number(digits);
  if (share >= 1 && share <= 100) return share;
  throw new ClientError('usage', '--share is a part of the hosts, from 1% to 100%');
}

function parseCrash({ victims = '', means = '', within = '' }: DrillOptions): CrashOrder {
  const some = <T extends string>(text: string, known: readonly T[], what: string): readonly T[] => {
    const found = known.filter((each) => text.split(',').includes(each));
    if (found.length > 0 && found.length === new Set(text.split(',')).size) return found;
    throw new ClientError('usage', `${what} are some of ${known.join(', ')}`);
  };
  return {
    victims: some(victims, CRASH_VICTIMS, '--victims'),
    means: some(means, CRASH_MEANS, '--means'),
    withinMs: parseMilliseconds(within, '--within', 0, DRILL_LIMITS.withinMs),
  };
}

/** Those that take part at once, one group after another: at least one host each, and no more than an order may name. */
export function groupsOf(hosts: readonly HostName[], share: number): readonly (readonly HostName[])[] {
  const shared = Math.floor((hosts.length * share) / 100);
  const size = Math.min(Math.max(1, shared), DRILL_LIMITS.hosts);
  return Array.from({ length: Math.ceil(hosts.length / size) }, (_, i) =>
    hosts.slice(i * size, (i + 1) * size),
  );
}

/** How long a host may take for one step: to say that it is ready, or what it saw. */
export function stepMs({ kind, timeoutMs, settleMs }: DrillPlan, leaseSeconds: number): number {
  if (timeoutMs !== undefined) return timeoutMs;
  if (kind === 'crash') return 30_000 + settleMs;
  return 10_000 + settleMs + (kind === 'partition' ? leaseSeconds * 1000 + 5000 : 0);
}

/** `now` in milliseconds since the epoch. Until the order's end a command that died leaves it standing. */
export function newOrder(
  plan: DrillPlan,
  hosts: readonly HostName[],
  leaseSeconds: number,
  now: number,
): DrillOrder {
  const { kind, workload, settleMs, crash } = plan;
  const trials = plan.trials + plan.warmUp;
  const lasting = trials * (usualMs(plan, leaseSeconds) + plan.paceMs) + 4 * stepMs(plan, leaseSeconds);
  const until = now + Math.min(lasting, DAY_MS);
  return {
    id: randomBytes(16).toString('hex'),
    kind,
    hosts,
    workload,
    trials,
    until: Math.ceil(until / 1000) * 1000,
    settleMs,
    ...(crash && { crash }),
  };
}

/** What a trial takes, generously; in milliseconds. */
function usualMs({ kind, settleMs, crash }: DrillPlan, leaseSeconds: number): number {
  if (kind === 'partition') return leaseSeconds * 1000 + 5000 + settleMs;
  return (crash ? 15_000 + crash.withinMs : 2000) + settleMs;
}
