// A drill's report is what one of the keys signed, byte for byte, under one header; or it is refused.
import { describe, expect, test } from 'vitest';
import { ManifestError } from '../../../manifest/errors.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import { reportSigner, signReport, verifyReport } from '../../../manifest/realm/drill/signed-report.ts';
import { PublicKey } from '../../../manifest/tuf/public-key.ts';
import { drillSummary } from '../../support/drill-report.ts';
import { makeSigner } from '../../support/realm.ts';
import type { TestSigner } from '../../support/realm.ts';

const REALM = parseRealmId('5f'.repeat(32));
const SUMMARY = drillSummary({
  realm: REALM,
  silent: [parseHostName('web-3')],
  ms: { 'zeroToLastRead.held': { count: 40, p50: 8.125, p90: 9, p99: 11.5, p999: 11.75, max: 1e-7 } },
  pass: false,
});

const signer = makeSigner();
const KEYS = keysOf(signer);

function keysOf({ keyid, publicHex }: TestSigner): ReadonlyMap<string, PublicKey> {
  return new Map([[keyid, new PublicKey('ed25519', publicHex)]]);
}

const identity = (by: TestSigner) => ({
  public: { keyid: by.keyid },
  sign: (bytes: Uint8Array) => Promise.resolve(by.sign(bytes)),
});

/** Signs anything under any header. */
function jwsOf(payload: string, change: object = {}, by = signer): string {
  const header = JSON.stringify({
    alg: 'EdDSA',
    kid: by.keyid,
    typ: 'lapse-drill-report+jws',
    ...change,
  });
  const signed = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${signed}.${Buffer.from(by.sign(Buffer.from(signed))).toString('base64url')}`;
}

const ofSummary = (change: object): string => jwsOf(JSON.stringify({ ...SUMMARY, ...change }));

function codeOf(jws: string, keys = KEYS, realm = REALM): string {
  try {
    verifyReport(jws, keys, realm);
    return 'accepted';
  } catch (error) {
    if (error instanceof ManifestError) return error.code;
    throw error;
  }
}

test('what was signed is read back, figures with fractions too', async () => {
  const jws = await signReport(SUMMARY, identity(signer));
  const { summary, payload, signer: by } = verifyReport(jws, KEYS, REALM);
  expect(summary).toEqual(SUMMARY);
  expect(payload).toBe(JSON.stringify(SUMMARY));
  expect([by, reportSigner(jws)]).toEqual([signer.keyid, signer.keyid]);
  expect(jws).toBe(jwsOf(payload));
});

test('figures that were not measured are absent', () => {
  const { metMs: _, ...bound } = SUMMARY.bound;
  expect(codeOf(ofSummary({ bound: { ...bound, met: false }, slo: [{ text: 'x', met: false }] }))).toBe(
    'accepted',
  );
});

describe('refused', () => {
  test.each([
    ['a key that the role does not have', () => jwsOf(JSON.stringify(SUMMARY), {}, makeSigner())],
    [
      'another key under a known id',
      () => jwsOf(JSON.stringify(SUMMARY), { kid: signer.keyid }, makeSigner()),
    ],
    ['another typ', () => jwsOf(JSON.stringify(SUMMARY), { typ: 'lapse-receipt+jws' })],
    ['another alg', () => jwsOf(JSON.stringify(SUMMARY), { alg: 'none' })],
    ['a header with more in it', () => jwsOf(JSON.stringify(SUMMARY), { crit: ['b64'], b64: false })],
    ['an altered summary', () => altered(jwsOf(JSON.stringify(SUMMARY)))],
    ['no signature', () => jwsOf(JSON.stringify(SUMMARY)).replace(/[^.]*$/, '')],
    ['a part too many', () => `${jwsOf(JSON.stringify(SUMMARY))}.`],
    ['another spelling of base64url', () => jwsOf(JSON.stringify(SUMMARY)).replace(/$/, '=')],
    ['nothing', () => ''],
    ['too long a text', () => `${'A'.repeat(LIMITS.reportBytes)}.A.A`],
    ['another kind', () => ofSummary({ kind: 'rehearse' })],
    ['a text that steers a terminal', () => ofSummary({ slo: [{ text: '\u001b[2J', met: true }] })],
    ['a figure without a name', () => ofSummary({ ms: { '<b>': SUMMARY.ms['zeroToLastRead.held'] } })],
  ])('%s', (_what, make) => {
    expect(codeOf(make())).toBe('drill-refused');
  });

  test('a report of another realm', () => {
    expect(codeOf(ofSummary({}), KEYS, parseRealmId('60'.repeat(32)))).toBe('drill-refused');
  });

  test('a key of another scheme, whatever it says of a signature', () => {
    const yes = { scheme: 'ecdsa-sha2-nistp256', verifies: () => true } as unknown as PublicKey;
    expect(codeOf(ofSummary({}), new Map([[signer.keyid, yes]]))).toBe('drill-refused');
  });

  test.each([
    ['an end before the beginning', { endedAt: SUMMARY.startedAt - 1 }, 'metadata-malformed'],
    ['no verdict', { pass: undefined }, 'metadata-malformed'],
    ['a hash that is none', { recordSha256: 'AB'.repeat(32) }, 'metadata-malformed'],
    ['a realm that is none', { realm: 'x' }, 'name-invalid'],
  ])('%s', (_what, change, code) => {
    expect(codeOf(ofSummary(change))).toBe(code);
  });

  test.each([
    ['a key twice', JSON.stringify(SUMMARY).replace('{', '{"pass":true,'), 'json-duplicate-key'],
    ['a number that is none', JSON.stringify(SUMMARY).replace('8.125', '8.1.25'), 'json-invalid'],
    ['a number without end', JSON.stringify(SUMMARY).replace('8.125', '8e999'), 'metadata-malformed'],
    ['depth', `${'['.repeat(33)}${']'.repeat(33)}`, 'json-too-deep'],
    ['no JSON', 'pass', 'json-invalid'],
  ])('%s', (_what, payload, code) => {
    expect(codeOf(jwsOf(payload))).toBe(code);
  });
});

test('what no reader would take is not signed', async () => {
  const never = { ...SUMMARY, bound: { ...SUMMARY.bound, metMs: Infinity } };
  await expect(signReport(never, identity(signer))).rejects.toMatchObject({ code: 'metadata-malformed' });
  const wordy = { ...SUMMARY, note: 'x'.repeat((3 * LIMITS.reportBytes) / 4) };
  await expect(signReport(wordy, identity(signer))).rejects.toMatchObject({ code: 'drill-refused' });
});

/** The verdict turned round, under the old signature. */
function altered(jws: string): string {
  const [header, payload = '', signature] = jws.split('.');
  const text = Buffer.from(payload, 'base64url').toString().replace('"pass":false', '"pass":true');
  return `${header}.${Buffer.from(text).toString('base64url')}.${signature}`;
}
