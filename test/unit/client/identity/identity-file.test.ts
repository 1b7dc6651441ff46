// An identity on disk: only the right passphrase opens it, nothing in it can be exchanged, nothing in it can make the
// reader work or allocate beyond measure, and none is ever written over another.
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  lstatSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createIdentityFile,
  parseIdentityFile,
  readIdentityFile,
  resealIdentityFile,
  sealIdentity,
} from '../../../../client/identity/identity-file.ts';
import { holdIdentity } from '../../../../client/identity/identity.ts';
import { SCRYPT_LIMITS } from '../../../../client/identity/stretching.ts';
import { canonicalJson } from '../../../../manifest/canonical-json.ts';
import type { JsonObject } from '../../../../manifest/json.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-identity-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

const PASSPHRASE = Buffer.from('correct horse battery staple');
const secret = randomBytes(64);
const stretching = { name: 'scrypt', N: 1024, r: 8, p: 1, salt: randomBytes(16) } as const;
let sealed: Record<string, unknown>;

beforeAll(async () => {
  const bytes = await sealIdentity({ secret, stretching, passphrase: PASSPHRASE, nonce: randomBytes(24) });
  sealed = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
});

const parse = (json: object) => parseIdentityFile(Buffer.from(JSON.stringify(json)), 'x.identity');

test('the passphrase opens it, and it signs as its public half says', async () => {
  const file = parse(sealed);
  expect(file.isProtected).toBe(true);
  expect(Buffer.from(await file.open(PASSPHRASE))).toEqual(secret);
  await using identity = holdIdentity('me', await file.open(PASSPHRASE));
  expect(identity.public).toEqual({ name: 'me', ...file.keys });
  const x = Buffer.from(file.keys.signing, 'hex').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  expect(verify(null, Buffer.from('bytes'), key, await identity.sign(Buffer.from('bytes')))).toBe(true);
});

test.for([
  ['another', Buffer.from('correct horse battery stapl')],
  ['longer', Buffer.concat([PASSPHRASE, Buffer.from('\n')])],
  ['empty', Buffer.alloc(0)],
] as const)('a passphrase that is %s: passphrase-wrong', async ([, passphrase]) => {
  await expect(parse(sealed).open(passphrase)).rejects.toMatchObject({ code: 'passphrase-wrong' });
});

describe('altered', () => {
  const other = holdIdentity('other', randomBytes(64)).public;
  const kdf = () => sealed['kdf'] as object;
  const flip = (text: string): string => {
    const bytes = Buffer.from(text, 'base64url');
    bytes[bytes.length - 1]! ^= 1;
    return bytes.toString('base64url');
  };
  test.for<[string, () => object]>([
    ['the signing key', () => ({ signing: other.signing })],
    ['the decryption key', () => ({ decryption: { ...other.decryption } })],
    ['a further member of it', () => ({ decryption: { ...(sealed['decryption'] as object), use: 'enc' } })],
    ['the salt', () => ({ kdf: { ...kdf(), salt: randomBytes(16).toString('base64url') } })],
    [
      'another spelling of the salt',
      () => ({ kdf: { ...kdf(), salt: `${stretching.salt.toString('base64url')}=` } }),
    ],
    ['N', () => ({ kdf: { ...kdf(), N: 2048 } })],
    ['r', () => ({ kdf: { ...kdf(), r: 4 } })],
    ['p', () => ({ kdf: { ...kdf(), p: 2 } })],
    ['a further member of the stretching', () => ({ kdf: { ...kdf(), comment: '' } })],
    ['the sealed keys', () => ({ sealed: flip(sealed['sealed'] as string) })],
    ['a further member', () => ({ comment: 'hello' })],
  ])('%s: passphrase-wrong', async ([, change]) => {
    await expect(parse({ ...sealed, ...change() }).open(PASSPHRASE)).rejects.toMatchObject({
      code: 'passphrase-wrong',
    });
  });

  test('kdf none in the place of scrypt does not open, and asks for no passphrase', async () => {
    const file = parse({ ...sealed, kdf: { name: 'none' } });
    expect(file.isProtected).toBe(false);
    await expect(file.open(PASSPHRASE)).rejects.toMatchObject({ code: 'identity-unreadable' });
  });

  test('other public halves, sealed again by somebody who has the passphrase', async () => {
    const { sealed: _, ...clear } = { ...sealed, kdf: { name: 'none' } } as JsonObject;
    const forge = (halves: JsonObject) => {
      const forged = { ...clear, ...halves };
      const nonce = randomBytes(24);
      const cipher = xchacha20poly1305(Buffer.alloc(32), nonce, canonicalJson(forged));
      return parse({
        ...forged,
        sealed: Buffer.concat([nonce, cipher.encrypt(secret)]).toString('base64url'),
      });
    };
    expect(Buffer.from(await forge({}).open(PASSPHRASE))).toEqual(secret);
    for (const halves of [{ signing: other.signing }, { decryption: { ...other.decryption } }]) {
      await expect(forge(halves).open(PASSPHRASE)).rejects.toMatchObject({ code: 'identity-unreadable' });
    }
  });
});

describe('hostile: refused before anything is computed', () => {
  const { mostN, r, p } = SCRYPT_LIMITS;
  const good = () => sealed['kdf'] as object;
  test.for<[string, () => object]>([
    ['N beyond the limit', () => ({ kdf: { ...good(), N: 2 * mostN } })],
    ['N no power of two', () => ({ kdf: { ...good(), N: 100_000 } })],
    ['N 0', () => ({ kdf: { ...good(), N: 0 } })],
    ['N 1', () => ({ kdf: { ...good(), N: 1 } })],
    ['N beyond integers', () => ({ kdf: { ...good(), N: 2 ** 60 } })],
    ['r beyond the limit', () => ({ kdf: { ...good(), r: r + 1 } })],
    ['p beyond the limit', () => ({ kdf: { ...good(), p: p + 1 } })],
    ['no salt', () => ({ kdf: { ...good(), salt: '' } })],
    ['a salt of 65 bytes', () => ({ kdf: { ...good(), salt: randomBytes(65).toString('base64url') } })],
    ['an unknown stretching', () => ({ kdf: { name: 'pbkdf2' } })],
    ['no stretching', () => ({ kdf: undefined })],
    ['another format', () => ({ format: 'lapse-identity-2' })],
    ['too few sealed bytes', () => ({ sealed: randomBytes(103).toString('base64url') })],
    ['too many sealed bytes', () => ({ sealed: randomBytes(105).toString('base64url') })],
    ['sealed is no text', () => ({ sealed: 7 })],
    ['a short signing key', () => ({ signing: 'aa' })],
    ['a decryption key of another curve', () => ({ decryption: { kty: 'OKP', crv: 'X448', x: 'AA' } })],
    ['much more than an identity', () => ({ comment: 'x'.repeat(20_000) })],
  ])('%s', ([, change]) => {
    expect(() => parse({ ...sealed, ...change() })).toThrow(
      expect.objectContaining({ code: 'identity-unreadable' }),
    );
  });

  test('no JSON', () => {
    expect(() => parseIdentityFile(Buffer.from('hunter2'), 'x')).toThrow(/identity-unreadable|x: /);
  });
});

describe('on disk', () => {
  test('a new one has mode 0600 in a directory of mode 0700, protected by the default', async () => {
    const keys = await createIdentityFile(at('new/me.identity'), secret, PASSPHRASE);
    expect(statSync(at('new')).mode & 0o777).toBe(0o700);
    expect(statSync(at('new/me.identity')).mode & 0o777).toBe(0o600);
    expect(readdirSync(at('new'))).toEqual(['me.identity']);
    const file = await readIdentityFile(at('new/me.identity'));
    expect(file).toMatchObject({ keys, isProtected: true });
    expect(readFileSync(at('new/me.identity'), 'utf8')).toContain('"N": 131072');
    expect(holdIdentity('me', await file.open(PASSPHRASE)).public).toMatchObject(keys);
  });

  test('none is ever written over another', async () => {
    await createIdentityFile(at('kept.identity'), secret, undefined);
    const before = readFileSync(at('kept.identity'));
    await expect(createIdentityFile(at('kept.identity'), secret, undefined)).rejects.toMatchObject({
      code: 'identity-exists',
    });
    expect(readFileSync(at('kept.identity'))).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test('sealed anew, through a link too: the same keys in the same file, and the passphrase opens it', async () => {
    const keys = await createIdentityFile(at('anew.identity'), secret, undefined);
    symlinkSync('anew.identity', at('link.identity'));
    await resealIdentityFile(at('link.identity'), secret, PASSPHRASE);
    expect(lstatSync(at('link.identity')).isSymbolicLink()).toBe(true);
    expect(statSync(at('anew.identity')).mode & 0o777).toBe(0o600);
    const file = await readIdentityFile(at('anew.identity'));
    expect(file).toMatchObject({ keys, isProtected: true });
    expect(Buffer.from(await file.open(PASSPHRASE))).toEqual(secret);
    expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test.for<[string, string, (path: string) => void]>([
    ['others can read it', 'identity-unreadable', (path) => chmodSync(path, 0o604)],
    ['the group can write it', 'identity-unreadable', (path) => chmodSync(path, 0o620)],
    ['it is absent', 'identity-unknown', (path) => rmSync(path)],
    [
      'a directory',
      'identity-unreadable',
      (path) => {
        rmSync(path);
        mkdirSync(path, 0o700);
      },
    ],
    [
      'a FIFO that nobody writes to',
      'identity-unreadable',
      (path) => {
        rmSync(path);
        execFileSync('mkfifo', ['-m', '600', path]);
      },
    ],
    ['larger than any', 'identity-unreadable', (path) => writeFileSync(path, ' '.repeat(20_000))],
  ])('%s: %s', async ([name, code, spoil]) => {
    const path = at(`${name.replaceAll(' ', '-')}.identity`);
    await createIdentityFile(path, secret, undefined);
    spoil(path);
    await expect(readIdentityFile(path)).rejects.toMatchObject({ code });
  });

  test.runIf(process.geteuid?.() === 0)('of another user: identity-unreadable', async () => {
    await createIdentityFile(at('theirs.identity'), secret, undefined);
    chownSync(at('theirs.identity'), 4242, 4242);
    await expect(readIdentityFile(at('theirs.identity'))).rejects.toMatchObject({
      code: 'identity-unreadable',
    });
  });
});
