// A wrapped data key opens only under exactly the header that the reader expects.
import { describe, expect, test } from 'vitest';
import { createPrivateKey } from 'node:crypto';
import { ManifestError } from '../../../manifest/errors.ts';
import { parseNamespace, parseRealmId, parseSecretName } from '../../../manifest/names.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';
import { decryptWith } from '../../../manifest/realm/jwe.ts';
import { unwrapKey, wrapKey } from '../../../manifest/realm/key-wrap.ts';
import { importRecipient, thumbprint } from '../../../manifest/realm/recipient.ts';
import type { RecipientKey } from '../../../manifest/realm/recipient.ts';
import { vectors } from './vectors.ts';

const vector = vectors('key-wrap') as {
  recipient: { pkcs8: string; jwk: RecipientKey; kid: string; epoch: number };
  context: { realm: string; namespace: string; name: string; version: number };
  dataKey: string;
  header: string;
  jwe: string;
  refused: { reason: string; jwe: string }[];
};
const { kid, epoch, jwk } = vector.recipient;
const decrypt = decryptWith(
  createPrivateKey({
    key: Buffer.from(vector.recipient.pkcs8, 'base64'),
    format: 'der',
    type: 'pkcs8',
  }),
);
const context: VersionContext = {
  realm: parseRealmId(vector.context.realm),
  namespace: parseNamespace(vector.context.namespace),
  name: parseSecretName(vector.context.name),
  version: vector.context.version,
};
const dataKey = Buffer.from(vector.dataKey, 'hex');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function expectRefused(unwrapping: Promise<Uint8Array>): Promise<void> {
  const error = await unwrapping.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ManifestError);
  expect(error).toMatchObject({ code: 'key-wrap-mismatch' });
}

describe('vectors', () => {
  test('the kid is the RFC 7638 thumbprint', () => {
    expect(thumbprint(jwk)).toBe(kid);
  });

  test('the wrapped key', async () => {
    expect(Buffer.from(vector.jwe.split('.')[0]!, 'base64url').toString()).toBe(vector.header);
    expect(hex(await unwrapKey({ kid, epoch, jwe: vector.jwe }, decrypt, context))).toBe(vector.dataKey);
  });

  test.for(vector.refused)('$reason', async ({ jwe }) => {
    await expectRefused(unwrapKey({ kid, epoch, jwe }, decrypt, context));
  });
});

test('what wrapKey wraps, unwrapKey unwraps', async () => {
  const wrapped = await wrapKey(dataKey, await importRecipient({ kid, epoch, key: jwk }), context);
  expect(wrapped).toMatchObject({ kid, epoch });
  expect(hex(await unwrapKey(wrapped, decrypt, context))).toBe(vector.dataKey);
  expect(dataKey.toString('hex')).toBe(vector.dataKey);
});

test('a header in another base64 is refused, though it says the same', async () => {
  const [header = '', ...rest] = vector.jwe.split('.');
  for (const other of [`${header}=`, `${header.slice(0, 8)}\n${header.slice(8)}`]) {
    await expectRefused(unwrapKey({ kid, epoch, jwe: [other, ...rest].join('.') }, decrypt, context));
  }
});

describe('refused with another', () => {
  test.for<[string, Partial<VersionContext>]>([
    ['realm', { realm: parseRealmId('0'.repeat(64)) }],
    ['namespace', { namespace: parseNamespace('billing') }],
    ['name', { name: parseSecretName('db') }],
    ['version', { version: 4 }],
  ])('%s', async ([, change]) => {
    await expectRefused(unwrapKey({ kid, epoch, jwe: vector.jwe }, decrypt, { ...context, ...change }));
  });

  test('kid, as custom.keys lists it', async () => {
    await expectRefused(unwrapKey({ kid: `${kid}x`, epoch, jwe: vector.jwe }, decrypt, context));
  });

  test('epoch, as custom.keys lists it', async () => {
    await expectRefused(unwrapKey({ kid, epoch: 1, jwe: vector.jwe }, decrypt, context));
  });

  test('private key', async () => {
    const pkcs8 = Buffer.from(vector.recipient.pkcs8, 'base64');
    const other = createPrivateKey({ key: pkcs8.fill(9, pkcs8.length - 32), format: 'der', type: 'pkcs8' });
    await expectRefused(unwrapKey({ kid, epoch, jwe: vector.jwe }, decryptWith(other), context));
  });
});

test('an ephemeral key of low order is refused', async () => {
  const [, ...rest] = vector.jwe.split('.');
  const header = vector.header.replace(/"x":"[^"]+"/, `"x":"${'A'.repeat(43)}"`);
  const jwe = [Buffer.from(header).toString('base64url'), ...rest].join('.');
  await expectRefused(unwrapKey({ kid, epoch, jwe }, decrypt, context));
});
