// What `npm run drill` is asked for, with what is usual for each kind of drill.
import { parseArgs } from 'node:util';
import { DRILL_KINDS } from '../manifest/realm/drill/order.ts';
import type { DrillKind } from '../manifest/realm/drill/order.ts';

export const USAGE = `usage: npm run drill -- ${DRILL_KINDS.join('|')}
  --trials N              how many (200; partition 30; crash 50)
  --warm-up N             how many before them that do not count (as lapse drill has it)
  --hosts N               how many hosts (1; partition 5)
  --delay MS              each host in a network namespace of its own, so far from the service, each way
  --lease SECONDS         (60; partition 3)
  --slo TEXT              an objective, like 'revoke p99 < 250ms' (repeatable)
  --break no-invalidate   sabotage: the kernel is never told to forget pages, and the drill must notice
  --json                  print the result as JSON
`;

export interface Options {
  readonly kind: DrillKind;
  readonly trials: number;
  /** Absent: as many as `lapse drill` makes. */
  readonly warmUp?: number;
  readonly hosts: number;
  /** Absent: no namespaces. */
  readonly delayMs?: number;
  readonly leaseS: number;
  readonly slo: readonly string[];
  readonly sabotage?: 'no-invalidate';
  readonly json: boolean;
}

const TRIALS: Readonly<Record<DrillKind, number>> = {
  revoke: 200,
  rotate: 200,
  workload: 200,
  partition: 30,
  crash: 50,
};

/** Undefined for a command line that is not understood. */
export function readOptions(args: readonly string[]): Options | undefined {
  try {
    return read(args);
  } catch {
    return undefined;
  }
}

function read(args: readonly string[]): Options | undefined {
  const number = { type: 'string' } as const;
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      trials: number,
      'warm-up': number,
      hosts: number,
      delay: number,
      lease: number,
      slo: { type: 'string', multiple: true },
      break: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const kind = DRILL_KINDS.find((each) => each === positionals[0]);
  const sabotage = values.break;
  if (kind === undefined || positionals.length > 1) return undefined;
  if (sabotage !== undefined && sabotage !== 'no-invalidate') return undefined;
  const isPartition = kind === 'partition';
  const delayMs = values.delay ?? (isPartition ? '0' : undefined);
  const warmUp = values['warm-up'];
  return {
    kind,
    trials: whole(values.trials ?? TRIALS[kind], 1, 10_000),
    ...(warmUp === undefined ? {} : { warmUp: whole(warmUp, 0, 1000) }),
    hosts: whole(values.hosts ?? (isPartition ? 5 : 1), 1, 100),
    ...(delayMs === undefined ? {} : { delayMs: whole(delayMs, 0, 1000) }),
    leaseS: whole(values.lease ?? (isPartition ? 3 : 60), 1, 3600),
    slo: values.slo ?? [],
    ...(sabotage === undefined ? {} : { sabotage }),
    json: values.json ?? false,
  };
}

function whole(text: string | number, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`a whole number from ${least} to ${most} is expected, not ${text}`);
  return value;
}
