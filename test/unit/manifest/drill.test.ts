// What a drill's order and a host's word on it may be, by the vectors; and what the two readers refuse.
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import { orderJson, readOrder } from '../../../manifest/realm/drill/order.ts';
import { isStatement, signStatement, verifyStatement } from '../../../manifest/realm/drill/statement.ts';
import { verifyReceipt } from '../../../manifest/realm/receipt.ts';
import { hostRecord, hostVector } from './host-vector.ts';
import { codeOf, codeOfAsync, privateKey } from './repository.ts';

const realm = parseRealmId(hostVector.realm);
const record = hostRecord();
const key = privateKey('ed25519', 0x21);
const { statement, order, receipt } = hostVector;

describe('a statement', () => {
  test.for(statement.said)('$payload.kind', async ({ payload, jws }) => {
    const { purpose: _, ...said } = payload;
    const verified = await verifyStatement(jws, record, realm);
    expect(verified).toEqual(said);
    expect(await signStatement(verified, key, record.kid)).toBe(jws);
    expect(Buffer.from(jws.split('.')[1] ?? '', 'base64url')).toEqual(Buffer.from(canonicalJson(payload)));
  });

  test.for(statement.refused)('$code: $reason', async ({ code, value }) => {
    expect(await codeOfAsync(() => verifyStatement(value, record, realm))).toBe(code);
  });

  test('against the record of another host, or under another key', async () => {
    const jws = statement.said[1]?.jws ?? '';
    const renamed = { ...record, name: parseHostName('web-2') };
    expect(await codeOfAsync(() => verifyStatement(jws, renamed, realm))).toBe('drill-refused');
    const { x } = privateKey('ed25519', 9).export({ format: 'jwk' });
    const swapped = { ...record, signing: { ...record.signing, x: x ?? '' } };
    expect(await codeOfAsync(() => verifyStatement(jws, swapped, realm))).toBe('drill-refused');
  });

  test('neither kind of word passes for the other', async () => {
    const jws = statement.said[1]?.jws ?? '';
    expect([isStatement(jws), isStatement(receipt.jws), isStatement('no.jws')]).toEqual([true, false, false]);
    expect(await codeOfAsync(() => verifyReceipt(jws, record, realm))).toBe('receipt-refused');
    expect(await codeOfAsync(() => verifyStatement(receipt.jws, record, realm))).toBe('drill-refused');
  });
});

describe('an order', () => {
  test.for(order.good)('$kind', (raw) => {
    const read = readOrder({ raw: { drill: raw } });
    expect(read && orderJson(read)).toEqual(raw);
  });

  test('none', () => {
    expect(readOrder({ raw: {} })).toBeUndefined();
    expect(readOrder({ raw: { drill: null } })).toBeUndefined();
  });

  test.for(order.refused)('$code: $reason', ({ code, order: raw }) => {
    expect(codeOf(() => readOrder({ raw: { drill: raw } }))).toBe(code);
  });
});
