// One person's identity: an ed25519 key that signs and an X25519 key that decrypts. The interface does not say where
// the private halves are: in this process, or in the agent, which never hands them out.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { decryptWith } from '../../manifest/realm/jwe.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import type { RecipientKey } from '../../manifest/realm/recipient.ts';
import { ed25519KeyJson, keyId } from '../../manifest/tuf/keys.ts';
import type { KeyId } from '../../manifest/tuf/keys.ts';
import { ClientError } from '../errors.ts';

/** The public half: what roles, custodians and people know of an identity. */
export interface PublicKeys {
  /** The raw ed25519 key, in hexadecimal. */
  readonly signing: string;
  readonly keyid: KeyId;
  readonly decryption: RecipientKey;
  readonly kid: string;
}

/** `name` is what this directory calls it; nobody else need call it so. */
export interface PublicIdentity extends PublicKeys {
  readonly name: string;
}

export interface Identity extends AsyncDisposable {
  readonly public: PublicIdentity;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * Decrypts a compact JWE whose protected header the caller has checked. The caller zeroes the plaintext.
   * @throws ClientError decryption-refused
   */
  decrypt(jwe: string): Promise<Uint8Array>;
}

/** The private halves as they are sealed: the ed25519 seed, then the X25519 scalar. */
export const PRIVATE_BYTES = 64;

/** RFC 8410: what stands before the 32 bytes in the PKCS#8 form of a private key. */
const PKCS8_PREFIX = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
} as const;

/** @throws ClientError usage */
export function parseIdentityName(text: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(text)) return text;
  throw new ClientError('usage', 'an identity has a name of up to 63 of a-z 0-9 -, not beginning with -');
}

export function publicKeys(signing: string, x: string): PublicKeys {
  const decryption: RecipientKey = { kty: 'OKP', crv: 'X25519', x };
  return { signing, keyid: keyId(ed25519KeyJson(signing)), decryption, kid: thumbprint(decryption) };
}

/** Keeps the keys in this process. The caller zeroes `secret`, which has PRIVATE_BYTES. */
export function holdIdentity(name: string, secret: Uint8Array): Identity {
  const signing = privateKey('ed25519', secret.subarray(0, 32));
  const decryption = privateKey('x25519', secret.subarray(32, PRIVATE_BYTES));
  const decrypt = decryptWith(decryption);
  return {
    public: {
      name,
      ...publicKeys(Buffer.from(publicX(signing), 'base64url').toString('hex'), publicX(decryption)),
    },
    sign: (bytes) => Promise.resolve(sign(null, bytes, signing)),
    decrypt: async (jwe) => {
      try {
        return await decrypt(jwe);
      } catch {
        // The cause is dropped: it could tell a stranger in which way it failed.
        throw new ClientError('decryption-refused', `${name} cannot decrypt this`);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function privateKey(type: keyof typeof PKCS8_PREFIX, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX[type], raw]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

function publicX(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'jwk' }).x ?? '';
}
