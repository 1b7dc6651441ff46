// The envelope: noble seals what libsodium opens, bound to one version, with its length hidden.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import sodium from 'sodium-native';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseNamespace, parseRealmId, parseSecretName } from '../../../manifest/names.ts';
import {
  ENVELOPE,
  associatedData,
  paddedBytes,
  sealEnvelope,
  valueRange,
} from '../../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';
import { paddedLength } from '../../../manifest/realm/padding.ts';
import { codeOf } from './repository.ts';
import { vectors } from './vectors.ts';

const { envelopes, refusedPlaintexts } = vectors('envelope') as {
  envelopes: {
    name: string;
    context: VersionContext;
    associatedData: string;
    key: string;
    nonce: string;
    value: string;
    envelope: string;
  }[];
  refusedPlaintexts: { name: string; padded: string }[];
};
const { lengths } = vectors('padding') as { lengths: { length: number; padded: number }[] };
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** As the daemon opens: libsodium's combined layout behind the nonce. Throws if anything was altered. */
function open(envelope: Uint8Array, key: Uint8Array, context: VersionContext): Uint8Array {
  const padded = Buffer.alloc(paddedBytes(envelope.length));
  const nonce = Buffer.from(envelope.subarray(0, ENVELOPE.nonceBytes));
  const ciphertext = Buffer.from(envelope.subarray(ENVELOPE.nonceBytes));
  const bound = Buffer.from(associatedData(context));
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(padded, null, ciphertext, bound, nonce, Buffer.from(key));
  return padded.subarray(...valueRange(padded));
}

describe('vectors', () => {
  test.for(envelopes)('$name', ({ context, key, nonce, value, envelope, ...vector }) => {
    expect(new TextDecoder().decode(associatedData(context))).toBe(vector.associatedData);
    expect(Buffer.from(sealEnvelope(bytes(value), bytes(key), bytes(nonce), context)).toString('hex')).toBe(
      envelope,
    );
    expect(Buffer.from(open(bytes(envelope), bytes(key), context)).toString('hex')).toBe(value);
  });

  test.for(refusedPlaintexts)('$name', ({ padded }) => {
    expect(codeOf(() => valueRange(bytes(padded)))).toBe('envelope-malformed');
  });

  test.for(lengths)('$length bytes are padded to $padded', ({ length, padded }) => {
    expect(paddedLength(length)).toBe(padded);
  });
});

const context: VersionContext = {
  realm: parseRealmId('0'.repeat(64)),
  namespace: parseNamespace('payments'),
  name: parseSecretName('db'),
  version: 1,
};
const key = Buffer.alloc(ENVELOPE.keyBytes, 1);
const nonce = Buffer.alloc(ENVELOPE.nonceBytes, 2);

test('a value of any length comes back', () => {
  const check = (length: number): void => {
    const value = Buffer.alloc(length, 0xa5);
    const envelope = sealEnvelope(value, key, nonce, context);
    expect(Buffer.compare(open(envelope, key, context), value)).toBe(0);
    expect(envelope.length).toBe(
      ENVELOPE.nonceBytes + paddedLength(ENVELOPE.prefixBytes + length) + ENVELOPE.tagBytes,
    );
  };
  fc.assert(fc.property(fc.integer({ min: 0, max: 4096 }), check), { numRuns: 300 });
  [65_532, 65_533, 500_000, LIMITS.valueBytes].forEach(check);
});

test('the seal leaves value, key and nonce as they were', () => {
  const value = Buffer.from('value');
  sealEnvelope(value, key, nonce, context);
  expect([value.toString(), key[0], nonce[0]]).toEqual(['value', 1, 2]);
});

test('padding costs at most 12 % above 256 bytes, and never shrinks', () => {
  let last = 0;
  for (let length = 0; length < 1 << 16; length++) {
    const padded = paddedLength(length);
    expect(
      padded >= length && padded >= last && (length <= 256 ? padded === 256 : padded <= length * 1.12),
    ).toBe(true);
    expect(paddedLength(padded)).toBe(padded);
    last = padded;
  }
});

test('a value over the limit is refused', () => {
  const value = new Uint8Array(LIMITS.valueBytes + 1);
  expect(codeOf(() => sealEnvelope(value, key, nonce, context))).toBe('value-too-large');
});

test('a sealed length over the limit is refused, though its padding fits', () => {
  const padded = new Uint8Array(paddedLength(ENVELOPE.prefixBytes + LIMITS.valueBytes));
  new DataView(padded.buffer).setUint32(0, LIMITS.valueBytes + 1);
  expect(codeOf(() => valueRange(padded))).toBe('envelope-malformed');
  new DataView(padded.buffer).setUint32(0, LIMITS.valueBytes);
  expect(valueRange(padded)).toEqual([4, 4 + LIMITS.valueBytes]);
});

test('an envelope has a least and a largest size', () => {
  const largest = sealEnvelope(new Uint8Array(LIMITS.valueBytes), key, nonce, context).length;
  expect(paddedBytes(296)).toBe(256);
  expect(paddedBytes(largest)).toBe(largest - 40);
  for (const size of [0, 40, 295, largest + 1])
    expect(codeOf(() => paddedBytes(size))).toBe('envelope-malformed');
});

describe('moved or altered, it does not open', () => {
  const envelope = sealEnvelope(Buffer.from('value'), key, nonce, context);

  test.for<[string, Partial<VersionContext>]>([
    ['realm', { realm: parseRealmId('1'.repeat(64)) }],
    ['namespace', { namespace: parseNamespace('billing') }],
    ['name', { name: parseSecretName('db2') }],
    ['version', { version: 2 }],
  ])('another %s', ([, change]) => {
    expect(() => open(envelope, key, { ...context, ...change })).toThrow('could not verify data');
  });

  test('any byte', () => {
    for (let i = 0; i < envelope.length; i++) {
      const altered = envelope.with(i, envelope[i]! ^ 1);
      expect(() => open(altered, key, context)).toThrow('could not verify data');
    }
  });
});
