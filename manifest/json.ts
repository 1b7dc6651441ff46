// Bytes from the network or the disk become a JSON value here, or a typed error. The grammar is V8's; what V8
// lets pass and Lapse must not is refused first by one linear scan: size, depth, count, a key written twice or a
// number not written as an integer (two readers could disagree what they mean) and `__proto__`.
import { ManifestError } from './errors.ts';
import { LIMITS } from './limits.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** @throws ManifestError json-* */
export function parseJson(bytes: Uint8Array, maxBytes: number): Json {
  if (bytes.length > maxBytes) {
    throw new ManifestError('json-too-large', `${bytes.length} bytes, at most ${maxBytes} are accepted`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const members = scan(text);
    const value = JSON.parse(text) as Json;
    if (countMembers(value) !== members) {
      throw new ManifestError('json-duplicate-key', 'a key stands twice in one object');
    }
    return value;
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    // The cause is dropped on purpose: V8 quotes the input in its message.
    throw new ManifestError('json-invalid', 'the bytes are not UTF-8 JSON');
  }
}

/** Walks text that need not be JSON. Returns how many members its objects have as written, by their colons. */
function scan(text: string): number {
  let [depth, values, members] = [0, 1, 0];
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // "
        i = endOfString(text, i);
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > LIMITS.jsonDepth) {
          throw new ManifestError('json-too-deep', `nested deeper than ${LIMITS.jsonDepth}`);
        }
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x3a: // :
        members++;
        break;
      case 0x2c: // ,
        if (++values > LIMITS.jsonValues) {
          throw new ManifestError('json-too-many-values', `more than ${LIMITS.jsonValues} values`);
        }
        break;
      case 0x2e: // .
      case 0x45: // E
      case 0x65: // e
        if (/\d/.test(text[i - 1] ?? '')) {
          throw new ManifestError('json-not-canonical', 'a number that is not written as an integer');
        }
        break;
    }
  }
  return members;
}

/** Of the quote that ends the string, or of the text. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let i = at;
  while (text.charCodeAt(i - 1) === 0x5c) i--;
  return (at - i) % 2 === 1;
}

/** As many as are left when of two members with one key the first is gone. */
function countMembers(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const element of value as readonly Json[]) members += countMembers(element);
    return members;
  }
  if (Object.hasOwn(value, '__proto__')) {
    throw new ManifestError('json-forbidden-key', 'a key named __proto__');
  }
  const object = value as JsonObject;
  for (const key in object) members += 1 + countMembers(object[key] as Json);
  return members;
}
