// Where a secret's value comes from: a file, standard input, a prompt without echo, or a generator. Never argv and
// never the environment. It stays in Buffers, which the caller zeroes.
import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ManifestError } from '../../manifest/errors.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { ClientError } from '../errors.ts';
import { askHidden } from './terminal.ts';

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

export interface ValueSource {
  readonly file?: string;
  readonly generate?: number;
}

/**
 * In the shell standard input holds commands, so there a value that is in no file is asked for.
 * @throws ClientError value-missing, value-unreadable; ManifestError value-too-large
 */
export async function readValue(
  { file, generate }: ValueSource,
  input: 'command' | 'shell',
): Promise<Buffer> {
  if (generate !== undefined) return generateValue(generate);
  if (file !== undefined) return checked(await readValueFile(file));
  const isAsked = input === 'shell' || process.stdin.isTTY;
  return checked(await (isAsked ? askValue() : readStandardInput()));
}

function checked(value: Buffer): Buffer {
  if (value.length > 0) return value;
  throw new ClientError('value-missing', 'the value is empty; give it on stdin or with --file');
}

async function askValue(): Promise<Buffer> {
  const typed = await askHidden('Value (not shown; end with Enter): ', LIMITS.valueBytes);
  if (typed === undefined) throw new ClientError('value-missing', 'nobody can be asked for it; use --file');
  if (typed === 'given-up') throw new ClientError('value-missing', 'nothing was stored');
  if (typed === 'too-long') throw tooLarge();
  return typed;
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
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > LIMITS.valueBytes) throw tooLarge();
    }
    return Buffer.concat(chunks);
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}

function tooLarge(): ManifestError {
  return new ManifestError('value-too-large', `a value has at most ${LIMITS.valueBytes} bytes`);
}
