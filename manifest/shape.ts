// Reads typed members out of parsed JSON. Each reader takes the value and where it stands ("targets.version"),
// and fails with metadata-malformed; members that nobody asks for are ignored, as TUF demands.
import { ManifestError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';

export type Where = string;

function malformed(where: Where, wanted: string): ManifestError {
  return new ManifestError('metadata-malformed', `${where}: ${wanted} expected`);
}

export function object(value: Json | undefined, where: Where): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(where, 'an object');
  return value as JsonObject;
}

export function array(value: Json | undefined, where: Where, most: number): readonly Json[] {
  if (!Array.isArray(value)) throw malformed(where, 'an array');
  if (value.length > most) throw malformed(where, `at most ${most} elements`);
  return value as readonly Json[];
}

export function string(value: Json | undefined, where: Where): string {
  if (typeof value !== 'string') throw malformed(where, 'a string');
  return value;
}

export function boolean(value: Json | undefined, where: Where): boolean {
  if (typeof value !== 'boolean') throw malformed(where, 'true or false');
  return value;
}

/** A safe integer within [least, most]. */
export function integer(
  value: Json | undefined,
  where: Where,
  least = 0,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw malformed(where, `an integer from ${least} to ${most}`);
  }
  return value as number;
}

/** Any number but those that JSON has no word for. */
export function number(value: Json | undefined, where: Where): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed(where, 'a number');
  return value;
}

/** Lower-case hexadecimal of exactly `bytes` bytes, or of any number of them. */
export function hex(value: Json | undefined, where: Where, bytes?: number): string {
  const text = string(value, where);
  const isLong = bytes === undefined ? text.length % 2 === 0 : text.length === 2 * bytes;
  if (!isLong || !/^[0-9a-f]*$/.test(text))
    throw malformed(where, `${bytes ?? 'any number of'} bytes in hexadecimal`);
  return text;
}

/** Milliseconds since the epoch from TUF's one form, `2026-01-31T00:00:00Z`. */
export function instant(value: Json | undefined, where: Where): number {
  const text = string(value, where);
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(time) || formatInstant(time) !== text)
    throw malformed(where, 'a time like 2026-01-31T00:00:00Z');
  return time;
}

/** The inverse of `instant`; fractions of a second are cut off. */
export function formatInstant(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
