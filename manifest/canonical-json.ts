// OLPC canonical JSON, the form that TUF signs and hashes: no white space, keys in code point order, integers
// only, and in strings nothing escaped but the quote and the backslash.
// Source: http://wiki.laptop.org/go/Canonical_JSON, as used by TUF 1.0.34 §4.1 and securesystemslib.
import { checkNumber, compareKeys, encodeString } from './canonical-scalar.ts';
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

/** By code point. What canonical JSON was read from is in order already, and costs one comparison a key. */
function sorted(keys: string[]): readonly string[] {
  const isSorted = keys.every((key, i) => i === 0 || compareKeys(keys[i - 1] as string, key) < 0);
  return isSorted ? keys : keys.sort(compareKeys);
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
