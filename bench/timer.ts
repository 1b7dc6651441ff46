// Runs bench/timer.c, which does what readers do and says what it takes. Rounds are interleaved, so that whatever else
// happens on the machine happens to everybody.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compileTimer } from './compile.ts';
import { ahead } from './cpu.ts';
import { percentile } from './findings.ts';

const PATIENCE_MS = 60_000;
const run = promisify(execFile);
const timer = compileTimer();

/** Microseconds: what one operation takes of the time, and how long the reader who does it waits. */
export interface Times {
  readonly us: number;
  readonly latencyUs: number;
}

export interface Reading {
  readonly path: string;
  readonly cpus: string;
  /** How often each reader does it. */
  readonly times: number;
  readonly readers?: number;
}

/** Open, read at once up to `bytes`, close. */
export function readFile({ path, bytes, ...reading }: Reading & { readonly bytes: number }): Promise<Times> {
  return time(['file', path, String(bytes)], reading);
}

/** Open, list, close. */
export function listDirectory({ path, ...reading }: Reading): Promise<Times> {
  return time(['directory', path], reading);
}

async function time(
  what: readonly string[],
  { cpus, times, readers = 1 }: Omit<Reading, 'path'>,
): Promise<Times> {
  const [program, ...parameters] = ahead(cpus, [timer, ...what, String(times), String(readers)]);
  const { stdout } = await run(program, parameters, { timeout: PATIENCE_MS, killSignal: 'SIGKILL' });
  const [us = NaN, latencyUs = NaN] = stdout.trim().split(' ').map(Number);
  return { us, latencyUs };
}

export type Rounds<Name extends string> = Readonly<Record<Name, readonly Times[]>>;

/** Measures everybody once a round, after one round that does not count; every second round goes the other way. */
export async function interleave<Name extends string>(
  names: readonly Name[],
  rounds: number,
  measure: (name: Name) => Promise<Times>,
): Promise<Rounds<Name>> {
  const measured = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Times[]>;
  for (const name of names) await measure(name);
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) measured[name].push(await measure(name));
  }
  return measured;
}

/** The median over the rounds. */
export function median(times: readonly Times[], what: keyof Times = 'us'): number {
  const values = times.map((round) => round[what]);
  return rounded(percentile(values, 0.5));
}

export function spread(times: readonly Times[]): { readonly least: number; readonly most: number } {
  const values = times.map(({ us }) => us);
  return { least: rounded(percentile(values, 0)), most: rounded(percentile(values, 1)) };
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
