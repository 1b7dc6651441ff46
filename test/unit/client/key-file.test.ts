// Private keys on disk: only their owner's, only of the type that is meant, and never quoted in an error.
import { createPublicKey } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClientError } from '../../../client/errors.ts';
import { createKeyFile, readKeyFile } from '../../../client/key-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-keys-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

beforeAll(async () => {
  await createKeyFile(at('good.ed25519'), 'ed25519');
  await createKeyFile(at('good.x25519'), 'x25519');
});

test('a new file has mode 0600, and holds the key whose public half was returned', async () => {
  const made = await createKeyFile(at('made'), 'ed25519');
  expect(statSync(at('made')).mode & 0o777).toBe(0o600);
  const read = await readKeyFile(at('made'), 'ed25519');
  expect(made.type).toBe('public');
  expect(createPublicKey(read).equals(made)).toBe(true);
});

test('a key is never written over another', async () => {
  const before = readFileSync(at('good.ed25519'));
  await expect(createKeyFile(at('good.ed25519'), 'ed25519')).rejects.toMatchObject({ code: 'EEXIST' });
  expect(readFileSync(at('good.ed25519'))).toEqual(before);
});

describe('key-unreadable', () => {
  const file = (name: string, bytes: Uint8Array, mode = 0o600): string => {
    writeFileSync(at(name), bytes);
    chmodSync(at(name), mode);
    return at(name);
  };
  const good = (): Buffer => readFileSync(at('good.ed25519'));

  test.for<[string, () => string]>([
    ['others can read it', () => file('others', good(), 0o604)],
    ['the group can read it', () => file('group', good(), 0o640)],
    ['mode 0644', () => file('mode', good(), 0o644)],
    ['another type of key', () => at('good.x25519')],
    ['cut short', () => file('short', good().subarray(0, -1))],
    ['empty', () => file('empty', Buffer.alloc(0))],
    ['no key at all', () => file('text', Buffer.from('hunter2'))],
    [
      'a directory',
      () => {
        mkdirSync(at('directory'), { mode: 0o700 });
        return at('directory');
      },
    ],
    ['absent', () => at('absent')],
  ])('%s', async ([, make]) => {
    const path = make();
    const error = await readKeyFile(path, 'ed25519').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code: 'key-unreadable' });
    expect((error as Error).cause).toBeUndefined();
    expect((error as Error).message).toContain(path);
    expect((error as Error).message).not.toContain('hunter2');
  });
});
