// What a reader (reader.c) reports: one attempt after another, each with its times and how it ended.
import { constants } from 'node:os';

const BYTES = 32;

export const WAYS = [
  ...(['self', 'view', 'volume', 'held', 'mapped', 'sent', 'stat', 'fstat', 'xattr'] as const),
  ...(['list', 'list-volume', 'list-views', 'foreign', 'write'] as const),
] as const;
export type Way = (typeof WAYS)[number];

const WRONG = ['MALFORMED', 'OTHER-SECRET', 'OTHER-LENGTH', 'MIXED', 'CHANGED'];
const FIRST_WRONG = 2000;
const BUS = 1000;

export interface Attempt {
  readonly way: Way;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly start: number;
  readonly end: number;
  readonly secret: number;
  /** `ok`, the name of an errno, SIGBUS, or what is wrong with the bytes. */
  readonly result: string;
  readonly version: number;
  /** Of a listing: a bit for each secret. */
  readonly listed: number;
  readonly size: number;
}

export interface Parsed {
  readonly attempts: readonly Attempt[];
  /** The beginning of the next one. */
  readonly rest: Buffer;
}

export function parseAttempts(bytes: Buffer): Parsed {
  const attempts: Attempt[] = [];
  let at = 0;
  for (; at + BYTES <= bytes.length; at += BYTES) {
    const way = WAYS[bytes.readUInt16LE(at + 16)];
    if (way === undefined) throw new Error('the reader wrote something else than attempts');
    const version = bytes.readUInt32LE(at + 24);
    attempts.push({
      way,
      start: Number(bytes.readBigUInt64LE(at)),
      end: Number(bytes.readBigUInt64LE(at + 8)),
      secret: bytes.readUInt16LE(at + 18),
      result: resultName(bytes.readUInt32LE(at + 20)),
      version,
      listed: version,
      size: bytes.readUInt32LE(at + 28),
    });
  }
  return { attempts, rest: bytes.subarray(at) };
}

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

export function resultName(result: number): string {
  if (result === 0) return 'ok';
  if (result === BUS) return 'SIGBUS';
  return ERRNO_NAMES.get(result) ?? WRONG[result - FIRST_WRONG] ?? `errno ${result}`;
}
