// Bytes from the network or the disk become a JSON value here, or a typed error. The grammar is V8's; what V8
// lets pass and Lapse must not is refused first by one linear scan: size, depth, count, a key written twice or a
// number not written as an integer (two readers could disagree what they mean) and `__proto__`.
import { ManifestError } from './errors.ts';
import { checkJson, scanJson } from './json-scan.ts';
import { LIMITS } from './limits.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** @throws ManifestError json-* */
export function parseJson(bytes: Uint8Array, maxBytes: number): Json {
  return read(bytes, maxBytes, scanJson).value;
}

/**
 * The same for figures, which are no integers and are never made canonical: a number may have a fraction and an exponent.
 * @throws ManifestError json-*
 */
export function parseFigures(
  bytes: Uint8Array,
  maxBytes: number,
  maxValues: number = LIMITS.jsonValues,
): Json {
  return read(bytes, maxBytes, (text) => checkJson(text, { fractions: true, values: maxValues })).value;
}

/**
 * The same, with the canonical form of the root's member of that name: exactly canonicalJson of its value, made from the
 * text, and no copy where the bytes are canonical already. Absent where there is no such member.
 * @throws ManifestError json-*
 */
export function parseJsonAround(
  bytes: Uint8Array,
  maxBytes: number,
  member: string,
): { readonly value: Json; readonly canonical?: Uint8Array } {
  const { text, value, found: span } = read(bytes, maxBytes, (whole) => scanJson(whole, member));
  if (!span) return { value };
  const { start, end, canonical } = span;
  // Only what is ASCII alone has as many characters as bytes.
  const isThere = canonical === undefined && text.length === bytes.length;
  return {
    value,
    canonical: isThere
      ? bytes.subarray(start, end)
      : new TextEncoder().encode(canonical ?? text.slice(start, end)),
  };
}

function read<Found>(bytes: Uint8Array, maxBytes: number, scan: (text: string) => Found) {
  if (bytes.length > maxBytes) {
    throw new ManifestError('json-too-large', `${bytes.length} bytes, at most ${maxBytes} are accepted`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const found = scan(text);
    return { text, found, value: JSON.parse(text) as Json };
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    // The cause is dropped on purpose: V8 quotes the input in its message.
    throw new ManifestError('json-invalid', 'the bytes are not UTF-8 JSON');
  }
}
