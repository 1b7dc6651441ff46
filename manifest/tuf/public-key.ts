// One public key that can verify. It is decoded when it is first asked, so that a file with thousands of keys costs what
// the few that sign it cost. What makes two keys the same is their numbers, however PEM or JSON spelled them.
import { constants, createPublicKey, verify } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

/** The schemes of TUF 1.0.34 §4.2. */
export type Scheme = 'ed25519' | 'ecdsa-sha2-nistp256' | 'rsassa-pss-sha256';

/** §4.2: shorter RSA keys are refused; longer ones than anybody uses only cost time. */
const RSA_BITS = { least: 2048, most: 8192 };

interface Decoded {
  readonly key: KeyObject;
  readonly material: string;
}

export class PublicKey {
  readonly scheme: Scheme;
  /** Raw bytes in hexadecimal for ed25519, PEM for the others. */
  readonly #text: string;
  /** Undefined: not decoded yet. Null: no key of this scheme. */
  #decoded: Decoded | null | undefined;

  constructor(scheme: Scheme, text: string) {
    this.scheme = scheme;
    this.#text = text;
  }

  /** What makes two keys the same, whatever ids they are listed under; absent for what is no key and cannot sign. */
  get material(): string | undefined {
    if (this.scheme === 'ed25519') return `ed25519:${this.#text}`;
    return this.#decode()?.material;
  }

  verifies(signed: Uint8Array, signature: Uint8Array): boolean {
    const key = this.#decode()?.key;
    if (!key) return false;
    switch (this.scheme) {
      case 'ed25519':
        return verify(null, signed, key, signature);
      case 'ecdsa-sha2-nistp256':
        return verify('sha256', signed, { key, dsaEncoding: 'der' }, signature);
      case 'rsassa-pss-sha256': {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        return verify(
          'sha256',
          signed,
          { key, padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
          signature,
        );
      }
    }
  }

  #decode(): Decoded | null {
    if (this.#decoded === undefined) this.#decoded = decode(this.scheme, this.#text);
    return this.#decoded;
  }
}

function decode(scheme: Scheme, text: string): Decoded | null {
  try {
    const key = scheme === 'ed25519' ? ed25519(text) : publicPem(text);
    const material = isOf(scheme, key) ? numbers(key.export({ format: 'jwk' })) : undefined;
    return material === undefined ? null : { key, material: `${scheme}:${material}` };
  } catch {
    return null;
  }
}

function ed25519(hex: string): KeyObject {
  const x = Buffer.from(hex, 'hex').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** Node would make a public key of a private one, or of a certificate, too. */
function publicPem(text: string): KeyObject {
  if (!/^\s*-----BEGIN (RSA )?PUBLIC KEY-----/.test(text)) throw new TypeError('no public key');
  return createPublicKey({ key: text, format: 'pem' });
}

/** Whether a PEM held what its scheme needs, and not some other key. */
function isOf(scheme: Scheme, { asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  switch (scheme) {
    case 'ed25519':
      return asymmetricKeyType === 'ed25519';
    case 'ecdsa-sha2-nistp256':
      return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1';
    case 'rsassa-pss-sha256': {
      const bits = asymmetricKeyDetails?.modulusLength ?? 0;
      return asymmetricKeyType === 'rsa' && bits >= RSA_BITS.least && bits <= RSA_BITS.most;
    }
  }
}

function numbers({ x, y, n, e }: JsonWebKey): string {
  return [x, y, n, e].join('.');
}
