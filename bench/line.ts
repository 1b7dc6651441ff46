// The whole line, many times: put, rotate and revoke with the real command, service, daemon and a real container,
// from clock zero to what the container sees. Unpinned: seven processes take part.
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../client/clock.ts';
import type { Container } from '../demo/container.ts';
import { lapse, makePlaces } from '../demo/programs.ts';
import type { Change, Places } from '../demo/programs.ts';
import { fnv1a } from '../demo/records.ts';
import type { ReadRecord } from '../demo/records.ts';
import { Stage } from '../demo/stage.ts';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';

const TRIALS = 20;
const SECRET = 'bench/token';

interface Trial {
  readonly rotateMs: number;
  readonly revokeMs: number;
}

export async function line(): Promise<Findings> {
  const clock = systemClock();
  const stage = new Stage(await makePlaces(await mkdtemp(join(tmpdir(), 'lapse-bench-'))), clock);
  try {
    const { at } = await stage.startService();
    await stage.makeRealm(at, '60s');
    await lapse(stage.places, ['namespace', 'add', 'bench']);
    await stage.join('host-1');
    await stage.startDaemon();
    const reader = await stage.startContainer('web', ['/bin/reader', '/run/lapse/fs/self/token', '100']);
    const trials: Trial[] = [];
    while (trials.length < TRIALS) trials.push(await trial(stage.places, reader));
    return report(trials);
  } finally {
    await stage.clear();
  }
}

async function trial(places: Places, reader: Container): Promise<Trial> {
  const value = (): Buffer => Buffer.from(randomBytes(24).toString('base64url'));
  const [first, second] = [value(), value()];
  const shows = (bytes: Buffer) => (record: ReadRecord) =>
    record.way === 'reopen' && record.hash === fnv1a(bytes);
  await lapse(places, ['secret', 'put', SECRET, '--grant', 'web'], first);
  await reader.seen('the first value', shows(first));
  const rotate = await lapse(places, ['rotate', SECRET], second);
  const seen = await reader.seen('the second value', shows(second));
  const revoke = await lapse(places, ['revoke', SECRET, '--yes']);
  await reader.seen('the end', ({ start, result }) => start > BigInt(revoke.clockZero) && result !== 0);
  const last = reader.records().findLast((record) => record.result === 0);
  return { rotateMs: since(rotate, seen.end), revokeMs: since(revoke, last?.end ?? 0n) };
}

function since(change: Change, moment: bigint): number {
  return Number(moment - BigInt(change.clockZero)) / 1e6;
}

function report(trials: readonly Trial[]): Findings {
  const spread = (values: readonly number[]) => {
    const [p50, p90, most] = [0.5, 0.9, 1].map((share) => Math.round(percentile(values, share) * 10) / 10);
    return { p50, p90, most };
  };
  const json = {
    trials: trials.length,
    rotateMs: spread(trials.map((trial) => trial.rotateMs)),
    revokeMs: spread(trials.map((trial) => trial.revokeMs)),
  };
  const row = (name: string, { p50, p90, most }: ReturnType<typeof spread>): string =>
    `${name}  p50 ${p50} ms, p90 ${p90} ms, most ${most} ms`;
  return {
    lines: [
      `${trials.length} trials, one host, from clock zero to what a real container sees:`,
      row('rotate (first read of the new value)', json.rotateMs),
      row('revoke (last successful read)       ', json.revokeMs),
    ],
    json,
  };
}
