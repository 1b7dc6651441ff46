// A pool's private key opens for one host, as one epoch of one pool of one realm, and only if it is what `fleet` names.
import { describe, expect, test } from 'vitest';
import { parsePoolName, parseRealmId } from '../../../manifest/names.ts';
import { parseKeyring } from '../../../manifest/realm/hosts.ts';
import { decryptWith } from '../../../manifest/realm/jwe.ts';
import { unwrapKey } from '../../../manifest/realm/key-wrap.ts';
import { poolPrivateKey, publicHalf, unwrapPoolKey, wrapPoolKey } from '../../../manifest/realm/pool-key.ts';
import type { PoolKeyContext } from '../../../manifest/realm/pool-key.ts';
import { importRecipient, recipientOf, thumbprint } from '../../../manifest/realm/recipient.ts';
import { hostRecord, hostVector } from './host-vector.ts';
import { PAYMENTS, codeOfAsync, privateKey, utf8 } from './repository.ts';
import { parseSecretName } from '../../../manifest/names.ts';

const { keyring: vector } = hostVector;
const record = hostRecord();
const decrypt = decryptWith(privateKey('x25519', 0x44));
const pool = publicHalf(privateKey('x25519', 0x77));
const raw = Buffer.from(vector.pool.raw, 'hex');
const context: PoolKeyContext = {
  realm: parseRealmId(vector.pool.realm),
  pool: parsePoolName(vector.pool.pool),
  epoch: vector.pool.epoch,
};
const [entry] = parseKeyring(utf8(vector.file));

describe('vectors', () => {
  test('the keyring holds the pool key', async () => {
    expect(entry).toMatchObject({ pool: 'default', epoch: 3, kid: thumbprint(record.encryption) });
    expect(Buffer.from(entry!.jwe.split('.')[0]!, 'base64url').toString()).toBe(vector.header);
    expect(Buffer.from(await unwrapPoolKey(entry!, decrypt, context, pool)).toString('hex')).toBe(
      vector.pool.raw,
    );
    expect(pool.x).toBe(vector.pool.jwk.x);
  });

  test.for(vector.refused)('$code: $reason', async ({ code, value }) => {
    const wrapped = { ...entry!, jwe: value };
    expect(await codeOfAsync(() => unwrapPoolKey(wrapped, decrypt, context, pool))).toBe(code);
  });
});

test('what wrapPoolKey wraps, unwrapPoolKey unwraps', async () => {
  const host = await importRecipient(recipientOf(record.encryption, 3));
  const wrapped = await wrapPoolKey(raw, host, context);
  expect(wrapped).toMatchObject({ kid: entry!.kid, epoch: 3 });
  expect(Buffer.from(await unwrapPoolKey(wrapped, decrypt, context, pool))).toEqual(raw);
});

describe('moved to another', () => {
  test.for<[string, Partial<PoolKeyContext>]>([
    ['realm', { realm: parseRealmId('00'.repeat(32)) }],
    ['pool', { pool: parsePoolName('edge') }],
    ['epoch', { epoch: 4 }],
  ])('%s', async ([, change]) => {
    const moved = { ...context, ...change };
    expect(await codeOfAsync(() => unwrapPoolKey(entry!, decrypt, moved, pool))).toBe('key-wrap-mismatch');
  });

  test('host', async () => {
    const other = decryptWith(privateKey('x25519', 0x45));
    expect(await codeOfAsync(() => unwrapPoolKey(entry!, other, context, pool))).toBe('key-wrap-mismatch');
  });

  test('purpose: it is no data key', async () => {
    const version = { realm: context.realm, namespace: PAYMENTS, name: parseSecretName('a'), version: 1 };
    expect(await codeOfAsync(() => unwrapKey(entry!, decrypt, version))).toBe('key-wrap-mismatch');
  });
});

test('a key that is not the private half of what fleet names is refused, and zeroed', async () => {
  const other = publicHalf(privateKey('x25519', 0x78));
  let seen: Uint8Array | undefined;
  const watched = async (jwe: string) => (seen = await decrypt(jwe));
  expect(await codeOfAsync(() => unwrapPoolKey(entry!, watched, context, other))).toBe('key-wrap-mismatch');
  expect(seen).toEqual(new Uint8Array(32));
});

test('the raw bytes become the key that they are', () => {
  expect(publicHalf(poolPrivateKey(raw))).toEqual(pool);
  expect(raw.toString('hex')).toBe(vector.pool.raw);
});
