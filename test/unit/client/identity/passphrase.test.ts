// Passphrases from a descriptor: the first line and not a byte more, from files, pipes, and pipes that do not block.
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Passphrases, parseDescriptor } from '../../../../client/cli/passphrase.ts';
import { HiddenLine } from '../../../../client/cli/terminal.ts';
import { systemClock } from '../../../../client/clock.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-passphrase-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function fromFile(content: string | Uint8Array): Promise<string> {
  const path = join(directory, 'passphrase');
  writeFileSync(path, content);
  const descriptor = openSync(path, 'r');
  try {
    using passphrases = new Passphrases(descriptor, systemClock());
    return (await passphrases.known('me')).toString();
  } finally {
    closeSync(descriptor);
  }
}

test.for([
  ['a line', 'correct horse\n'],
  ['no line feed at the end', 'correct horse'],
  ['only its first line', 'correct horse\nsecond\n'],
])('%s', async ([, content]) => expect(await fromFile(content!)).toBe('correct horse'));

test('1024 bytes are taken, whatever they are', async () => {
  const bytes = 'ü'.repeat(512);
  expect(await fromFile(bytes)).toBe(bytes);
});

test.for([
  ['1025 bytes', 'x'.repeat(1025)],
  ['an empty line', '\nsecond\n'],
  ['nothing', ''],
])('%s: passphrase-missing', async ([, content]) => {
  await expect(fromFile(content!)).rejects.toMatchObject({ code: 'passphrase-missing' });
});

test('a descriptor that is not open: passphrase-missing', async () => {
  await expect(new Passphrases(987_654, systemClock()).known('me')).rejects.toMatchObject({
    code: 'passphrase-missing',
  });
});

test('a descriptor that nobody opened, and Node uses itself: passphrase-missing', async () => {
  const own = readdirSync('/proc/self/fd').find((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith('anon_inode:');
    } catch {
      return false;
    }
  });
  await expect(new Passphrases(Number(own), systemClock()).known('me')).rejects.toMatchObject({
    code: 'passphrase-missing',
  });
});

test('it is read once, serves twice, and is zeroed at the end', async () => {
  const path = join(directory, 'once');
  writeFileSync(path, 'first\nsecond\n');
  const descriptor = openSync(path, 'r');
  const passphrases = new Passphrases(descriptor, systemClock());
  const [known, fresh] = [await passphrases.known('me'), await passphrases.fresh('you')];
  expect([known.toString(), fresh.toString()]).toEqual(['first', 'first']);
  passphrases[Symbol.dispose]();
  expect(known.every((byte) => byte === 0)).toBe(true);
  // Nothing behind the line was taken.
  expect(readFileSync(descriptor, 'utf8')).toBe('second\n');
  closeSync(descriptor);
});

test('a pipe that does not block, and is slow', async () => {
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const passphrases = new Passphrases(pipe, systemClock());
  const known = passphrases.known('me');
  for (const part of ['correct ', 'horse\n']) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    writeSync(pipe, part);
  }
  expect((await known).toString()).toBe('correct horse');
  closeSync(pipe);
});

test.for(['0', '3', '63'])('--passphrase-fd %s', (descriptor) => {
  expect(parseDescriptor(descriptor)).toBe(Number(descriptor));
});
test.for(['1', '2', '-1', '3.5', '0x3', '', 'passphrase', '12345678'])(
  '--passphrase-fd %s: usage',
  (descriptor) => {
    expect(() => parseDescriptor(descriptor)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

describe('typed', () => {
  const type = (keys: string, most = 16): string => {
    using line = new HiddenLine(most);
    const typed = line.take(Buffer.from(keys));
    return typed === undefined ? 'unfinished' : typed.toString();
  };
  test.for([
    ['Enter ends', 'pass\r', 'pass'],
    ['a line feed ends', 'pass\n', 'pass'],
    ['Backspace takes one back', 'pasx\x7fs\r', 'pass'],
    ['and a whole character', 'paü€\x7f\x7fss\r', 'pass'],
    ['and nothing from nothing', '\x7f\x7fpass\r', 'pass'],
    ['Ctrl-U takes all back', 'word\x15pass\r', 'pass'],
    ['Ctrl-C', 'pass\x03\r', 'given-up'],
    ['Ctrl-D', 'pass\x04', 'given-up'],
    ['not yet', 'pass', 'unfinished'],
    ['too long', `${'x'.repeat(17)}\r`, 'too-long'],
    ['as long as may be', `${'x'.repeat(16)}\r`, 'x'.repeat(16)],
  ])('%s', ([, keys, expected]) => expect(type(keys!)).toBe(expected));
});
