// JWE and JWS by hand, from RFC 7515, RFC 7516 and RFC 7518 with node:crypto, so that the library is checked against
// something that is not the library. Keys, ephemeral keys and nonces are fixed: fit for vectors, and for nothing else.
import { createCipheriv, createHash, createPublicKey, diffieHellman, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { privateKey } from '../unit/manifest/repository.ts';

export const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url');

function pair<Curve extends 'X25519' | 'Ed25519'>(crv: Curve, byte: number) {
  const key = privateKey(crv === 'X25519' ? 'x25519' : 'ed25519', byte);
  const publicKey = createPublicKey(key);
  const jwk = { kty: 'OKP', crv, x: publicKey.export({ format: 'jwk' }).x ?? '' } as const;
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  return { pkcs8, privateKey: key, publicKey, jwk };
}

/** A private key of 32 equal bytes. */
export const x25519 = (byte: number) => pair('X25519', byte);
export const ed25519 = (byte: number) => pair('Ed25519', byte);

export const EPHEMERAL = x25519(0x55);
const IV = Uint8Array.from({ length: 12 }, (_, i) => 200 + i);

/** A compact JWE whose header is exactly this text. */
export function jwe(header: string, plaintext: Uint8Array, to: KeyObject): string {
  const { alg, enc } = JSON.parse(header) as { alg: string; enc: 'A256GCM' | 'A128GCM' };
  const shared = diffieHellman({ privateKey: EPHEMERAL.privateKey, publicKey: to });
  const keyBytes = enc === 'A256GCM' ? 32 : 16;
  let key = concatKdf(shared, alg === 'ECDH-ES' ? enc : alg, alg === 'ECDH-ES' ? keyBytes : 32);
  let encryptedKey = Buffer.alloc(0);
  if (alg === 'ECDH-ES+A256KW') {
    const wrap = createCipheriv('id-aes256-wrap', key, Buffer.alloc(8, 0xa6));
    key = Buffer.alloc(keyBytes, 0x33);
    encryptedKey = Buffer.concat([wrap.update(key), wrap.final()]);
  }
  const cipher = createCipheriv(enc === 'A256GCM' ? 'aes-256-gcm' : 'aes-128-gcm', key, IV);
  cipher.setAAD(Buffer.from(base64url(header)));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return [header, encryptedKey, IV, ciphertext, cipher.getAuthTag()].map(base64url).join('.');
}

/** Concat KDF (RFC 7518 §4.6.2) with empty PartyUInfo and PartyVInfo; up to 32 bytes. */
function concatKdf(secret: Uint8Array, algorithm: string, bytes: number): Buffer {
  const word = (value: number): Buffer => Buffer.from(value.toString(16).padStart(8, '0'), 'hex');
  const info = [word(algorithm.length), Buffer.from(algorithm), word(0), word(0), word(bytes * 8)];
  return createHash('sha256')
    .update(Buffer.concat([word(1), secret, ...info]))
    .digest()
    .subarray(0, bytes);
}

/** A compact JWS of exactly these texts; `signing` makes the signature over its first two parts. */
export function jws(
  header: object,
  payload: Uint8Array | string,
  signing: (input: Uint8Array) => Uint8Array,
): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(payload)}`;
  return `${input}.${base64url(signing(Buffer.from(input)))}`;
}

export const signWith =
  (key: KeyObject) =>
  (input: Uint8Array): Uint8Array =>
    sign(null, input, key);
