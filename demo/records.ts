// The reader's records: what was tried in the container, when, and how it ended. See reader.c for the layout.

const BYTES = 32;

export type Way = 'reopen' | 'held' | 'mapped';
const WAYS: readonly Way[] = ['reopen', 'held', 'mapped'];

export interface ReadRecord {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly start: bigint;
  readonly end: bigint;
  /** FNV-1a of the bytes that were read. */
  readonly hash: bigint;
  readonly way: Way;
  /** 0, an errno, or 1000 for SIGBUS. */
  readonly result: number;
}

/** The whole records at the beginning of `bytes`, and what is left of a last, unfinished one. */
export function parseRecords(bytes: Buffer): { records: readonly ReadRecord[]; rest: Buffer } {
  const records: ReadRecord[] = [];
  let at = 0;
  for (; at + BYTES <= bytes.length; at += BYTES) {
    const way = WAYS[bytes.readUInt32LE(at + 24)];
    if (way === undefined) throw new Error('the reader wrote something else than records');
    records.push({
      start: bytes.readBigUInt64LE(at),
      end: bytes.readBigUInt64LE(at + 8),
      hash: bytes.readBigUInt64LE(at + 16),
      way,
      result: bytes.readUInt32LE(at + 28),
    });
  }
  return { records, rest: bytes.subarray(at) };
}

/** The hash by which the reader reports a value. */
export function fnv1a(value: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of value) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

/** Microseconds between the starts of successive attempts of one way, ascending. */
export function gapsUs(records: readonly ReadRecord[], way: Way): readonly number[] {
  const starts = records.filter((record) => record.way === way).map((record) => record.start);
  return starts
    .slice(1)
    .map((start, i) => Number(start - (starts[i] ?? start)) / 1000)
    .sort((a, b) => a - b);
}
