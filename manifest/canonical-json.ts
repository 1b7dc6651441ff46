// OLPC canonical JSON, the form that TUF signs and hashes: no white space, keys in code point order, integers
// only, and in strings nothing escaped but the quote and the backslash.
// Source: http://wiki.laptop.org/go/Canonical_JSON, as used by TUF 1.0.34 §4.1 and securesystemslib.
import { ManifestError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';

/** @throws ManifestError json-not-canonical, for a number that is no safe integer or a lone surrogate */
export function canonicalJson(value: Json): Uint8Array {
  return new TextEncoder().encode(encode(value));
}

function encode(value: Json): string {
  switch (typeof value) {
    case 'string':
      return encodeString(value);
    case 'number':
      checkNumber(value);
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      if (value === null) return 'null';
      return isArray(value) ? encodeArray(value) : encodeObject(value);
  }
}

function encodeArray(value: readonly Json[]): string {
  let text = '';
  for (const element of value) text += `${text === '' ? '' : ','}${encode(element)}`;
  return `[${text}]`;
}

function encodeObject(value: JsonObject): string {
  let text = '';
  for (const key of sorted(Object.keys(value))) {
    text += `${text === '' ? '' : ','}${encodeString(key)}:${encode(value[key] as Json)}`;
  }
  return `{${text}}`;
}

/** @throws ManifestError json-not-canonical */
export function checkNumber(value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return;
  throw new ManifestError('json-not-canonical', 'a number that is not a safe integer');
}

/** @throws ManifestError json-not-canonical */
export function encodeString(text: string): string {
  if (!text.isWellFormed()) throw new ManifestError('json-not-canonical', 'a string with a lone surrogate');
  const isPlain = !text.includes('"') && !text.includes('\\');
  return isPlain ? `"${text}"` : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** By code point. What canonical JSON was read from is in order already, and costs one comparison a key. */
function sorted(keys: string[]): readonly string[] {
  const isSorted = keys.every((key, i) => i === 0 || compareKeys(keys[i - 1] as string, key) < 0);
  return isSorted ? keys : keys.sort(compareKeys);
}

/** The order of code points, for well-formed strings; below zero: `a` comes first. */
export function compareKeys(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Of a UTF-16 unit among those that may stand in its place: surrogates spell what lies above U+FFFF. */
export function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
