// Where a secret's value comes from: a file, standard input, a prompt without echo, or a generator. Never argv and
// never the environment. It stays in Buffers, which the caller zeroes.
import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ManifestError } from '../../manifest/errors.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { ClientError } from '../errors.ts';

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

export interface ValueSource {
  readonly file?: string;
  readonly generate?: number;
}

/** @throws ClientError value-missing, value-unreadable; ManifestError value-too-large */
export async function readValue({ file, generate }: ValueSource): Promise<Buffer> {
  if (generate !== undefined) return generateValue(generate);
  const value = file !== undefined ? await readValueFile(file) : await readStandardInput();
  if (value.length === 0)
    throw new ClientError('value-missing', 'the value is empty; give it on stdin or with --file');
  return value;
}

/** `length` characters of 6 random bits each, fit for any password field. */
function generateValue(length: number): Buffer {
  const value = Buffer.alloc(length);
  randomFillSync(value);
  // 64 characters: the low six bits choose without bias.
  for (let i = 0; i < length; i++) value[i] = ALPHABET[(value[i] ?? 0) & 63] ?? 0;
  return value;
}

async function readValueFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ClientError('value-unreadable', `cannot read ${path}`, { cause });
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { stdin } = process;
  if (stdin.isTTY) {
    process.stderr.write('Value (not shown; end with Enter): ');
    stdin.setRawMode(true);
  }
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > LIMITS.valueBytes) {
        throw new ManifestError('value-too-large', `a value has at most ${LIMITS.valueBytes} bytes`);
      }
      if (stdin.isTTY && endsTyping(chunk)) break;
    }
    const value = Buffer.concat(chunks);
    return stdin.isTTY ? typed(value) : value;
  } finally {
    for (const chunk of chunks) chunk.fill(0);
    if (stdin.isTTY) {
      stdin.setRawMode(false);
      process.stderr.write('\n');
    }
  }
}

const ENTER = 0x0d;
const CONTROL_C = 0x03;
const BACKSPACE = 0x7f;

function endsTyping(chunk: Buffer): boolean {
  return chunk.includes(ENTER) || chunk.includes(CONTROL_C);
}

/** Raw mode hands over keys, not lines: Enter ends, Backspace takes back, Ctrl-C gives up. */
function typed(keys: Buffer): Buffer {
  if (keys.includes(CONTROL_C)) throw new ClientError('value-missing', 'nothing was stored');
  const value = Buffer.alloc(keys.length);
  let length = 0;
  for (const key of keys.subarray(0, keys.indexOf(ENTER))) {
    if (key === BACKSPACE) length = Math.max(0, length - 1);
    else value[length++] = key;
  }
  keys.fill(0);
  return value.subarray(0, length);
}
