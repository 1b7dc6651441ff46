// What a host says is in effect on it: its own word, for its own realm, under its own key.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import { signReceipt, verifyReceipt } from '../../../manifest/realm/receipt.ts';
import type { Receipt } from '../../../manifest/realm/receipt.ts';
import { hostRecord, hostVector } from './host-vector.ts';
import { NOW, codeOfAsync, privateKey } from './repository.ts';

const realm = parseRealmId(hostVector.realm);
const vector = hostVector.receipt;
const record = hostRecord();
const key = privateKey('ed25519', 0x21);
const receipt: Receipt = {
  realm,
  host: record.name,
  boot: '6b1d5c0e-0000-4000-8000-000000000001',
  sequence: 7,
  at: NOW,
  roles: new Map([['payments', { version: 9, sha256: 'ab'.repeat(32) }]]),
  withdrawn: ['payments/db-password@1'],
  more: 0,
  mappings: 2,
  failures: new Map([['billing', 'signature-threshold']]),
  verifiedUs: 1200,
  effectUs: 3400,
};

describe('vectors', () => {
  test('the receipt', async () => {
    expect(await verifyReceipt(vector.jws, record, realm)).toEqual(receipt);
    expect(await signReceipt(receipt, key, record.kid)).toBe(vector.jws);
  });

  test('its payload is canonical', () => {
    expect(Buffer.from(canonicalJson(vector.payload)).toString()).toBe(vector.canonical);
    expect(Buffer.from(vector.jws.split('.')[1] ?? '', 'base64url').toString()).toBe(vector.canonical);
  });

  test.for(vector.refused)('$code: $reason', async ({ code, value }) => {
    expect(await codeOfAsync(() => verifyReceipt(value, record, realm))).toBe(code);
  });
});

test('of another realm, or against the record of another host', async () => {
  const other = parseRealmId('00'.repeat(32));
  expect(await codeOfAsync(() => verifyReceipt(vector.jws, record, other))).toBe('receipt-refused');
  const renamed = { ...record, name: parseHostName('web-2') };
  expect(await codeOfAsync(() => verifyReceipt(vector.jws, renamed, realm))).toBe('receipt-refused');
  const { x } = privateKey('ed25519', 9).export({ format: 'jwk' });
  const swapped = { ...record, signing: { ...record.signing, x: x ?? '' } };
  expect(await codeOfAsync(() => verifyReceipt(vector.jws, swapped, realm))).toBe('receipt-refused');
});

test('any change of a character is noticed', async () => {
  const change = fc.tuple(fc.nat(vector.jws.length - 1), fc.constantFrom('A', 'b', '0', '-', '.', '"'));
  const noticed = fc.asyncProperty(change, async ([at, to]) => {
    const altered = `${vector.jws.slice(0, at)}${to}${vector.jws.slice(at + 1)}`;
    const [, , signature = ''] = altered.split('.');
    // The last character of a signature holds four bits that mean nothing.
    const isSame = altered === vector.jws || Buffer.from(signature, 'base64url').equals(lastPart);
    fc.pre(!isSame || at < vector.jws.lastIndexOf('.'));
    fc.pre(altered !== vector.jws);
    expect(await codeOfAsync(() => verifyReceipt(altered, record, realm))).toBeDefined();
  });
  await fc.assert(noticed, { numRuns: 200 });
});

const lastPart = Buffer.from(vector.jws.split('.')[2] ?? '', 'base64url');
