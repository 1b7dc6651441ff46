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
    scan(text);
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    // The cause is dropped on purpose: V8 quotes the input in its message.
    throw new ManifestError('json-invalid', 'the bytes are not UTF-8 JSON');
  }
}

/** Walks text that need not be JSON; a string directly before a colon is a key of the innermost object. */
function scan(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let values = 1;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
      case 0x5b: // [
        open.push(text[i] === '{' ? new Set() : undefined);
        if (open.length > LIMITS.jsonDepth) {
          throw new ManifestError('json-too-deep', `nested deeper than ${LIMITS.jsonDepth}`);
        }
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
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
      case 0x22: {
        const end = endOfString(text, i);
        const keys = open.at(-1);
        if (keys && isKey(text, end)) addKey(keys, text.slice(i, end));
        i = end - 1;
        break;
      }
    }
  }
}

/** Whether the string that ended at `end` is followed by a colon. */
function isKey(text: string, end: number): boolean {
  let i = end;
  while (' \t\r\n'.includes(text[i] ?? '.')) i++;
  return text[i] === ':';
}

function addKey(keys: Set<string>, quoted: string): void {
  const key = JSON.parse(quoted) as string;
  if (key === '__proto__') throw new ManifestError('json-forbidden-key', 'a key named __proto__');
  if (keys.has(key)) throw new ManifestError('json-duplicate-key', 'a key stands twice in one object');
  keys.add(key);
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}
