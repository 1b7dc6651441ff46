// An identity on disk, mode 0600: the public halves and the stretching in clear, the private halves sealed with
// XChaCha20-Poly1305 in libsodium's combined layout behind its nonce. The associated data is the canonical JSON of
// everything in clear, so neither the public halves nor a parameter can be exchanged. A file appears whole or not at
// all, and over another only to seal the same identity anew.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { canonicalJson } from '../../manifest/canonical-json.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { hex, object, string } from '../../manifest/shape.ts';
import { readRecipientKey } from '../../manifest/realm/recipient.ts';
import { ClientError } from '../errors.ts';
import { PRIVATE_BYTES, holdIdentity, publicKeys } from './identity.ts';
import type { PublicKeys } from './identity.ts';
import { defaultScrypt, readStretching, stretch, stretchingJson } from './stretching.ts';
import type { Stretching } from './stretching.ts';

const FORMAT = 'lapse-identity-1';
const LARGEST = 16 << 10;
const NONCE_BYTES = 24;
const SEALED_BYTES = NONCE_BYTES + PRIVATE_BYTES + 16;

/** A file that was read and not opened. */
export interface IdentityFile {
  readonly path: string;
  readonly keys: PublicKeys;
  /** Whether a passphrase opens it; without one, whoever reads the file has the keys. */
  readonly isProtected: boolean;
  /**
   * PRIVATE_BYTES, which the caller zeroes.
   * @throws ClientError passphrase-wrong, also when the file was altered: the two look the same
   */
  open(passphrase: Uint8Array): Promise<Uint8Array>;
}

/** What is sealed, and how; all of it is fixed only in test vectors. */
export interface Sealing {
  readonly secret: Uint8Array;
  readonly stretching: Stretching;
  readonly passphrase: Uint8Array;
  readonly nonce: Uint8Array;
}

/**
 * Writes a new identity. Without a passphrase the file is not protected. The caller zeroes `secret`, PRIVATE_BYTES of
 * randomness.
 * @throws ClientError identity-exists
 */
export async function createIdentityFile(
  path: string,
  secret: Uint8Array,
  passphrase: Uint8Array | undefined,
): Promise<PublicKeys> {
  const sealed = await sealFreshly(secret, passphrase);
  await write(path, sealed, 'new');
  return parseIdentityFile(sealed, path).keys;
}

/**
 * Seals an identity that has a file under another passphrase, or none; whatever fails, the old file is there as it was. The
 * caller zeroes `secret`.
 */
export async function resealIdentityFile(
  path: string,
  secret: Uint8Array,
  passphrase: Uint8Array | undefined,
): Promise<void> {
  await write(await realpath(path), await sealFreshly(secret, passphrase), 'replaced');
}

function sealFreshly(secret: Uint8Array, passphrase: Uint8Array | undefined): Promise<Uint8Array> {
  return sealIdentity({
    secret,
    stretching: passphrase ? defaultScrypt() : { name: 'none' },
    passphrase: passphrase ?? Buffer.alloc(0),
    nonce: randomBytes(NONCE_BYTES),
  });
}

/** The bytes of the file. The caller zeroes `secret` and `passphrase`. */
export async function sealIdentity({ secret, stretching, passphrase, nonce }: Sealing): Promise<Uint8Array> {
  const { signing, decryption } = holdIdentity('', secret).public;
  const clear = { format: FORMAT, signing, decryption: { ...decryption }, kdf: stretchingJson(stretching) };
  const key = await stretch(stretching, passphrase);
  try {
    const ciphertext = xchacha20poly1305(key, nonce, canonicalJson(clear)).encrypt(secret);
    const sealed = Buffer.concat([nonce, ciphertext]).toString('base64url');
    return Buffer.from(`${JSON.stringify({ ...clear, sealed }, null, 2)}\n`);
  } finally {
    key.fill(0);
  }
}

/** @throws ClientError identity-unknown, identity-unreadable: not such a file, or others can read it */
export async function readIdentityFile(path: string): Promise<IdentityFile> {
  return parseIdentityFile(await readPrivate(path), path);
}

/** @throws ClientError identity-unreadable */
export function parseIdentityFile(bytes: Uint8Array, path: string): IdentityFile {
  try {
    const { sealed: text, ...clear } = object(parseJson(bytes, LARGEST), 'identity');
    if (clear['format'] !== FORMAT) throw unreadable(path, `it is not of the format ${FORMAT}`);
    const { x } = readRecipientKey(clear['decryption'], 'decryption');
    const keys = publicKeys(hex(clear['signing'], 'signing', 32), x);
    const stretching = readStretching(object(clear['kdf'], 'kdf'));
    const sealed = Buffer.from(string(text, 'sealed'), 'base64url');
    if (sealed.length !== SEALED_BYTES || sealed.toString('base64url') !== text) {
      throw unreadable(path, `sealed is ${SEALED_BYTES} bytes in base64url`);
    }
    const isProtected = stretching.name !== 'none';
    const opened = async (passphrase: Uint8Array): Promise<Uint8Array> => {
      const secret = await unseal(sealed, stretching, passphrase, clear);
      if (secret && isOf(secret, keys)) return secret;
      secret?.fill(0);
      throw isProtected
        ? new ClientError('passphrase-wrong', `this passphrase does not open ${path}`)
        : unreadable(path, 'it was altered');
    };
    return { path, keys, isProtected, open: opened };
  } catch (cause) {
    if (cause instanceof ClientError || !isLapseError(cause)) throw cause;
    throw unreadable(path, cause.message);
  }
}

async function unseal(
  sealed: Uint8Array,
  stretching: Stretching,
  passphrase: Uint8Array,
  clear: JsonObject,
): Promise<Uint8Array | undefined> {
  const key = await stretch(stretching, passphrase);
  try {
    const cipher = xchacha20poly1305(key, sealed.subarray(0, NONCE_BYTES), canonicalJson(clear));
    return cipher.decrypt(sealed.subarray(NONCE_BYTES));
  } catch {
    return undefined;
  } finally {
    key.fill(0);
  }
}

/** Whoever has the passphrase could have sealed other keys than the file names in clear. */
function isOf(secret: Uint8Array, { keyid, kid }: PublicKeys): boolean {
  const held = holdIdentity('', secret).public;
  return held.keyid === keyid && held.kid === kid;
}

async function readPrivate(path: string): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK a FIFO in its place would hang the command.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > LARGEST) throw unreadable(path, 'it is no small file');
    if (stat.uid !== process.geteuid?.() && stat.uid !== 0) throw unreadable(path, 'it is not yours');
    if ((stat.mode & 0o077) !== 0) throw unreadable(path, `others can read it; run: chmod 600 ${path}`);
    return await file.readFile();
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT') throw new ClientError('identity-unknown', `there is no identity ${path}`);
    throw unreadable(path, code);
  }
}

/** The name appears when the bytes are on the disk: a new one by link(2), which replaces nothing. */
async function write(path: string, bytes: Uint8Array, as: 'new' | 'replaced'): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(4).toString('hex')}.new`;
  try {
    {
      await using file = await open(draft, 'wx', 0o600);
      await file.writeFile(bytes);
      await file.sync();
    }
    await (as === 'new' ? link : rename)(draft, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new ClientError('identity-exists', `${path} exists already; an identity is never overwritten`);
  } finally {
    await rm(draft, { force: true });
  }
  await using directory = await open(dirname(path));
  await directory.sync();
}

function unreadable(path: string, why: string): ClientError {
  return new ClientError('identity-unreadable', `cannot use the identity ${path}: ${why}`);
}
