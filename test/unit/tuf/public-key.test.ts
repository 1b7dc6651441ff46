// Which keys can verify, and what makes two of them one (TUF 1.0.34 §4.2).
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PublicKey } from '../../../manifest/tuf/public-key.ts';
import { checkThreshold, parseKeys, parseRoleKeys, sameKeys } from '../../../manifest/tuf/keys.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { newSigner } from '../../conformance/simulator.ts';

const TEXT = Buffer.from('signed');
const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'spki' }) as string;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

describe.for(['ed25519', 'ecdsa', 'rsa'] as const)('%s', (type) => {
  const [signer, stranger] = [newSigner(type), newSigner(type)];
  const [key] = parseKeys({ k: signer.json }, 'keys').values();

  test('verifies what it signed and nothing else', () => {
    const good = signer.sign(TEXT);
    expect(key!.verifies(TEXT, good)).toBe(true);
    expect(key!.verifies(Buffer.from('other'), good)).toBe(false);
    expect(key!.verifies(TEXT, stranger.sign(TEXT))).toBe(false);
    for (const bytes of [
      good.subarray(1),
      Buffer.alloc(0),
      Buffer.alloc(good.length),
      Buffer.alloc(1000, 1),
    ]) {
      expect(key!.verifies(TEXT, bytes)).toBe(false);
    }
  });
});

test('the salt of a PSS signature may have any length; another padding is none', () => {
  const key = new PublicKey('rsassa-pss-sha256', pem(rsa.publicKey));
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  for (const saltLength of [0, 32, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
    expect(key.verifies(TEXT, sign('sha256', TEXT, { key: rsa.privateKey, padding, saltLength }))).toBe(true);
  }
  expect(key.verifies(TEXT, sign('sha256', TEXT, rsa.privateKey))).toBe(false);
  expect(key.verifies(TEXT, sign('sha512', TEXT, { key: rsa.privateKey, padding }))).toBe(false);
});

test('an ecdsa signature is DER', () => {
  const key = new PublicKey('ecdsa-sha2-nistp256', pem(ec.publicKey));
  expect(key.verifies(TEXT, sign('sha256', TEXT, ec.privateKey))).toBe(true);
  const raw = sign('sha256', TEXT, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  expect(key.verifies(TEXT, raw)).toBe(false);
});

describe('a key that is not what its scheme says verifies nothing', () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const ed = generateKeyPairSync('ed25519');
  test.for([
    ['an RSA key of 1024 bits', 'rsassa-pss-sha256', pem(short.publicKey), short.privateKey],
    ['another curve', 'ecdsa-sha2-nistp256', pem(curve.publicKey), curve.privateKey],
    ['an ed25519 key as ecdsa', 'ecdsa-sha2-nistp256', pem(ed.publicKey), ed.privateKey],
    ['an ecdsa key as rsa', 'rsassa-pss-sha256', pem(ec.publicKey), ec.privateKey],
    ['no PEM', 'ecdsa-sha2-nistp256', '04cbc5cab2', ec.privateKey],
  ] as const)('%s', ([, scheme, text, privateKey]) => {
    const key = new PublicKey(scheme, text);
    expect(key.material).toBeUndefined();
    expect(key.verifies(TEXT, sign(null, TEXT, privateKey))).toBe(false);
  });

  test('a private key in its place', () => {
    const text = ec.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    expect(new PublicKey('ecdsa-sha2-nistp256', text).material).toBeUndefined();
  });
});

describe('one key spelled twice', () => {
  const text = pem(ec.publicKey);
  const spelled: readonly JsonObject[] = [
    { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: text } },
    { keytype: 'ecdsa-sha2-nistp256', scheme: 'ecdsa-sha2-nistp256', keyval: { public: `\n${text}\n` } },
  ];
  const keys = parseKeys(Object.fromEntries(spelled.map((key, i) => [`id${i}`, key])), 'keys');
  const both = parseRoleKeys({ keyids: ['id0', 'id1'], threshold: 2 }, keys, 'role');

  test('counts once', () => {
    const signatures = ['id0', 'id1'].map((keyid) => ({ keyid, sig: sign('sha256', TEXT, ec.privateKey) }));
    expect(() => checkThreshold('role', both, signatures, TEXT)).toThrow('1 found');
    checkThreshold('role', { ...both, threshold: 1 }, signatures, TEXT);
  });

  test('is no other key', () => {
    const alone = (id: string) => parseRoleKeys({ keyids: [id], threshold: 2 }, keys, 'role');
    expect(sameKeys(alone('id0'), alone('id1'))).toBe(true);
    expect(sameKeys(alone('id0'), both)).toBe(true);
    expect(sameKeys(alone('id0'), { ...both, threshold: 1 })).toBe(false);
  });
});
