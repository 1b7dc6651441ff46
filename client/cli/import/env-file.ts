// A file of NAME=value lines, as shells, Docker and Compose read them:
//
//   NAME=value  export NAME=value     white space around the value is cut, and ` #` begins a comment
//   NAME='value'                      literally
//   NAME="value"                      with \n \r \t \" \\ \$; both kinds of quotes may span lines
//
// No variable is expanded. DB_PASSWORD becomes the secret db-password: lower case, a hyphen for each underscore. Read as
// bytes, so that no value is ever a string.
import { isLapseError } from '../../../manifest/errors.ts';
import { parseSecretName } from '../../../manifest/names.ts';
import type { SecretName } from '../../../manifest/names.ts';
import { checkFound, malformed } from './source.ts';
import type { Findings, Found } from './source.ts';

const [LINE_FEED, RETURN, TAB, BLANK] = [0x0a, 0x0d, 0x09, 0x20];
const [HASH, EQUALS, SINGLE, DOUBLE, BACKSLASH] = [0x23, 0x3d, 0x27, 0x22, 0x5c];
const ESCAPES: Readonly<Record<string, number>> = {
  n: LINE_FEED,
  r: RETURN,
  t: TAB,
  '"': DOUBLE,
  '\\': BACKSLASH,
  $: 0x24,
};

/** The caller zeroes `bytes` and the values. @throws ClientError import-malformed */
export function readEnvFile(bytes: Buffer): Findings {
  const found: Found[] = [];
  const skipped: string[] = [];
  for (let at = 0, line = 1; at < bytes.length;) {
    const start = at;
    const { key, value, end } = readEntry(bytes, at, line);
    at = end + 1;
    line += count(bytes.subarray(start, at), LINE_FEED);
    if (key === undefined) continue;
    if (value.length === 0) skipped.push(`${key}: it is empty`);
    else found.push({ name: nameOf(key), value, grants: [] });
  }
  return { found: checkFound(found), skipped };
}

/** `DB_PASSWORD` → `db-password`. @throws ClientError import-malformed */
function nameOf(key: string): SecretName {
  try {
    return parseSecretName(key.toLowerCase().replaceAll('_', '-'));
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw malformed(`${key} makes no name of a secret`);
  }
}

interface Entry {
  readonly key: string | undefined;
  readonly value: Buffer;
  /** The line feed that ends it, or the end of the file. */
  readonly end: number;
}

function readEntry(bytes: Buffer, start: number, line: number): Entry {
  const lineEnd = indexOrEnd(bytes, LINE_FEED, start);
  const found = bytes.subarray(start, lineEnd).indexOf(EQUALS);
  const equals = found < 0 ? lineEnd + 1 : start + found;
  const head = bytes.toString('latin1', start, Math.min(equals, lineEnd, start + 256)).trim();
  if (head === '' || head.startsWith('#')) {
    if (equals < lineEnd && head === '') throw malformed(`line ${line} has no name before its =`);
    return { key: undefined, value: Buffer.alloc(0), end: lineEnd };
  }
  const key = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,127})$/.exec(head)?.[1];
  if (key === undefined || equals > lineEnd) throw malformed(`line ${line} is not NAME=value`);
  const from = skipBlanks(bytes, equals + 1);
  const quote = bytes[from];
  if (quote === SINGLE || quote === DOUBLE) return { key, ...readQuoted(bytes, from, quote, line) };
  return { key, value: readPlain(bytes, from, lineEnd), end: lineEnd };
}

function readPlain(bytes: Buffer, from: number, lineEnd: number): Buffer {
  let end = lineEnd;
  for (let i = from; i < lineEnd; i++) {
    if (bytes[i] === HASH && (i === from || isBlank(bytes[i - 1]))) {
      end = i;
      break;
    }
  }
  while (end > from && isBlank(bytes[end - 1])) end--;
  return Buffer.from(bytes.subarray(Math.min(from, end), end));
}

function readQuoted(bytes: Buffer, from: number, quote: number, line: number): Omit<Entry, 'key'> {
  const close = closing(bytes, from, quote);
  if (close === undefined) throw malformed(`the quote of line ${line} is not closed`);
  const value = Buffer.alloc(close - from);
  let length = 0;
  for (let i = from + 1; i < close; i++) {
    const byte = bytes[i] ?? 0;
    const isEscape = quote === DOUBLE && byte === BACKSLASH;
    const escaped = isEscape ? ESCAPES[String.fromCharCode(bytes[i + 1] ?? 0)] : undefined;
    if (escaped !== undefined) i++;
    value[length++] = escaped ?? byte;
  }
  return { value: value.subarray(0, length), end: restOfLine(bytes, close + 1, line) };
}

/** Within double quotes, a backslash hides a quote or another backslash. */
function closing(bytes: Buffer, from: number, quote: number): number | undefined {
  for (let i = from + 1; i < bytes.length; i++) {
    if (bytes[i] === quote) return i;
    if (quote === DOUBLE && bytes[i] === BACKSLASH) i++;
  }
  return undefined;
}

/** Nothing but a comment may follow a quoted value. */
function restOfLine(bytes: Buffer, from: number, line: number): number {
  const end = indexOrEnd(bytes, LINE_FEED, from);
  const next = skipBlanks(bytes, from);
  if (next < end && bytes[next] !== HASH) throw malformed(`something follows the quotes of line ${line}`);
  return end;
}

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (isBlank(bytes[at])) at++;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === BLANK || byte === TAB || byte === RETURN;
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 ? bytes.length : at;
}

function count(bytes: Buffer, byte: number): number {
  let found = 0;
  for (const each of bytes) if (each === byte) found++;
  return found;
}
