// Writes host.json: everything that a host says or is told besides TUF files. Record, keyring, token, receipt, invitation,
// request to join and lease echo, each with what must be refused in its place, built by hand where the code uses a library.
import { createHmac } from 'node:crypto';
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { Json, JsonObject } from '../../manifest/json.ts';
import { parseHostName, parsePoolName } from '../../manifest/names.ts';
import { encodeKeyring, withHost } from '../../manifest/realm/hosts.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import { formatInstant } from '../../manifest/shape.ts';
import { signMetadata } from '../../manifest/tuf/metadata.ts';
import { KEYS, NOW, fileMeta, timestampJson } from '../unit/manifest/repository.ts';
import { EPHEMERAL, base64url, ed25519, jwe, jws, signWith, x25519 } from './jose.ts';

type Write = (name: string, about: string, content: JsonObject) => void;
type Refused = readonly (readonly [code: string, reason: string, value: string])[];

const REALM = '7e'.repeat(32);
const BOOT = '6b1d5c0e-0000-4000-8000-000000000001';
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const signing = ed25519(0x21);
const encryption = x25519(0x44);
const pool = x25519(0x77);
const stranger = ed25519(0x99);
const kid = thumbprint(signing.jwk);
const sign = signWith(signing.privateKey);
/** What a reader that lets the sender choose the algorithm would take the public key for. */
const hmacUnderPublicKey = (input: Uint8Array): Uint8Array =>
  createHmac('sha256', Buffer.from(signing.jwk.x, 'base64url')).update(input).digest();

const refusedJson = (list: Refused): readonly JsonObject[] =>
  list.map(([code, reason, value]) => ({ code, reason, value }));

function keyring(): { bytes: Uint8Array; json: JsonObject } {
  const bound = { realm: REALM, pool: 'default', epoch: 3 };
  const header = (change: JsonObject = {}): string =>
    JSON.stringify({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: thumbprint(encryption.jwk),
      purpose: 'lapse-pool-key',
      ...bound,
      ...change,
      epk: { x: EPHEMERAL.jwk.x, crv: 'X25519', kty: 'OKP' },
    });
  const raw = Buffer.alloc(32, 0x77);
  const to = encryption.publicKey;
  const good = jwe(header(), raw, to);
  const altered = `${good.slice(0, -4)}AAAA`;
  const refused: Refused = [
    ['key-wrap-mismatch', 'another realm', jwe(header({ realm: '00'.repeat(32) }), raw, to)],
    ['key-wrap-mismatch', 'another pool', jwe(header({ pool: 'other' }), raw, to)],
    ['key-wrap-mismatch', 'another epoch', jwe(header({ epoch: 2 }), raw, to)],
    ['key-wrap-mismatch', 'the epoch as text', jwe(header({ epoch: '3' }), raw, to)],
    ['key-wrap-mismatch', 'a data key', jwe(header({ purpose: 'lapse-data-key' }), raw, to)],
    ['key-wrap-mismatch', 'zip', jwe(header({ zip: 'DEF' }), raw, to)],
    ['key-wrap-mismatch', 'another private key than fleet names', jwe(header(), Buffer.alloc(32, 0x78), to)],
    ['key-wrap-mismatch', 'a key of 31 bytes', jwe(header(), raw.subarray(1), to)],
    ['key-wrap-mismatch', 'for another host', jwe(header(), raw, pool.publicKey)],
    ['key-wrap-mismatch', 'altered', altered],
  ];
  const entry = { pool: parsePoolName('default'), epoch: 3, kid: thumbprint(encryption.jwk), jwe: good };
  const bytes = encodeKeyring([entry]);
  return {
    bytes,
    json: {
      file: text(bytes),
      pool: { ...bound, raw: hex(raw), jwk: pool.jwk },
      header: header(),
      refused: refusedJson(refused),
    },
  };
}

function record(file: Uint8Array): JsonObject {
  const host = {
    name: parseHostName('web-1.example'),
    signing: signing.jwk,
    encryption: encryption.jwk,
    pools: [parsePoolName('default')],
    joined: NOW,
  };
  return { targets: withHost({}, host, file), kid };
}

function token(): JsonObject {
  const issued = NOW / 1000;
  const jti = base64url(Uint8Array.from({ length: 16 }, (_, i) => i));
  const header = { alg: 'EdDSA', kid, typ: 'lapse-host+jwt' };
  const claims = { jti, iss: 'web-1.example', aud: `lapse:${REALM}`, iat: issued, exp: issued + 60 };
  const claiming = (change: JsonObject): string => jws(header, JSON.stringify({ ...claims, ...change }), sign);
  const headed = (change: JsonObject, by = sign): string =>
    jws({ ...header, ...change }, JSON.stringify(claims), by);
  const { jti: _, ...withoutJti } = claims;
  const { exp: __, ...withoutExp } = claims;
  const good = claiming({});
  const [head, payload, signature] = good.split('.') as [string, string, string];
  const refused: Refused = [
    ['token-malformed', 'made out to another realm', claiming({ aud: `lapse:${'00'.repeat(32)}` })],
    ['token-malformed', 'made out to nobody', claiming({ aud: [] })],
    ['token-malformed', 'of another host', claiming({ iss: 'web-2' })],
    ['token-malformed', 'lives too long', claiming({ exp: issued + 61 })],
    ['token-malformed', 'lives for ever', jws(header, JSON.stringify(withoutExp), sign)],
    ['token-malformed', 'without jti', jws(header, JSON.stringify(withoutJti), sign)],
    ['token-malformed', 'a jti that is short', claiming({ jti: 'AAAA' })],
    ['token-malformed', 'a jti that is a list', claiming({ jti: [jti] })],
    ['token-malformed', 'a time that is no integer', claiming({ iat: issued + 0.5 })],
    ['token-expired', 'expired', claiming({ iat: issued - 91, exp: issued - 31 })],
    ['token-early', 'from the future', claiming({ iat: issued + 31, exp: issued + 91 })],
    ['token-malformed', 'alg none', headed({ alg: 'none' }, () => new Uint8Array(0))],
    ['token-malformed', 'alg none, any case', headed({ alg: 'nOnE' }, () => new Uint8Array(0))],
    ['token-malformed', 'alg HS256 under the public key', headed({ alg: 'HS256' }, hmacUnderPublicKey)],
    ['token-malformed', 'another name of the same algorithm', headed({ alg: 'Ed25519' })],
    ['token-malformed', "another key's signature", headed({}, signWith(stranger.privateKey))],
    ['host-unknown', 'an unknown kid', headed({ kid: thumbprint(stranger.jwk) })],
    ['host-unknown', 'no kid', jws({ alg: 'EdDSA', typ: header.typ }, JSON.stringify(claims), sign)],
    [
      'host-unknown',
      'a key that it brings along',
      headed({ kid: 'x', jwk: { ...stranger.jwk } }, signWith(stranger.privateKey)),
    ],
    ['token-malformed', 'a receipt', headed({ typ: 'lapse-receipt+jws' })],
    ['token-malformed', 'no typ', jws({ alg: 'EdDSA', kid }, JSON.stringify(claims), sign)],
    ['token-malformed', 'an unknown critical member', headed({ crit: ['x'], x: 1 })],
    ['token-malformed', 'an altered payload', `${head}.A${payload.slice(1)}.${signature}`],
    ['token-malformed', 'no signature', `${head}.${payload}.`],
    ['token-malformed', 'two parts', `${head}.${payload}`],
    ['token-malformed', 'nothing', ''],
    ['token-malformed', 'longer than 2048 characters', good + 'A'.repeat(2048)],
  ];
  return { now: NOW, jti, header, claims, jwt: good, refused: refusedJson(refused) };
}

function receipt(): JsonObject {
  const header = { alg: 'EdDSA', kid, typ: 'lapse-receipt+jws' };
  const payload = {
    purpose: 'lapse-receipt',
    realm: REALM,
    host: 'web-1.example',
    boot: BOOT,
    sequence: 7,
    at: formatInstant(NOW),
    roles: { payments: { version: 9, sha256: 'ab'.repeat(32) } },
    withdrawn: ['payments/db-password@1'],
    more: 0,
    mappings: 2,
    failures: { billing: 'signature-threshold' },
    verifiedUs: 1200,
    effectUs: 3400,
  };
  const canonical = text(canonicalJson(payload));
  const saying = (change: Record<string, Json>): string => jws(header, canonicalJson({ ...payload, ...change }), sign);
  const escaped = (change: JsonObject): string =>
    jws(header, JSON.stringify({ ...payload, ...change }), sign);
  const headed = (change: JsonObject, by = sign): string => jws({ ...header, ...change }, canonical, by);
  const { more: _, ...withoutMore } = payload;
  const good = jws(header, canonical, sign);
  const [head, body, signature] = good.split('.') as [string, string, string];
  const refused: Refused = [
    ['receipt-refused', 'of another realm', saying({ realm: '00'.repeat(32) })],
    ['receipt-refused', 'in the name of another host', saying({ host: 'web-2' })],
    ['receipt-refused', 'of another purpose', saying({ purpose: 'lapse-join' })],
    ['receipt-refused', 'words that no terminal should print', escaped({ boot: '\u001b[2J' })],
    ['receipt-refused', 'a code that no terminal should print', escaped({ failures: { a: '\u001b[2J' } })],
    ['receipt-refused', 'a role that no terminal should print', escaped({ failures: { '\u001b[2J': 'a' } })],
    ['metadata-malformed', 'sequence 0', saying({ sequence: 0 })],
    ['metadata-malformed', 'more than 64 names', saying({ withdrawn: Array<string>(65).fill('a/b@1') })],
    ['metadata-malformed', 'a role without its hash', saying({ roles: { payments: { version: 9 } } })],
    ['metadata-malformed', 'a member missing', jws(header, canonicalJson(withoutMore), sign)],
    ['metadata-malformed', 'a list', jws(header, '[]', sign)],
    ['json-invalid', 'no JSON', jws(header, 'receipt', sign)],
    ['json-duplicate-key', 'a member twice', jws(header, `{"host":"web-2",${canonical.slice(1)}`, sign)],
    ['receipt-refused', 'alg none', headed({ alg: 'none' }, () => new Uint8Array(0))],
    ['receipt-refused', 'alg HS256 under the public key', headed({ alg: 'HS256' }, hmacUnderPublicKey)],
    ['receipt-refused', 'another name of the same algorithm', headed({ alg: 'Ed25519' })],
    ['receipt-refused', "another key's signature", headed({}, signWith(stranger.privateKey))],
    ['receipt-refused', 'another kid', headed({ kid: thumbprint(stranger.jwk) })],
    ['receipt-refused', 'a token', headed({ typ: 'lapse-host+jwt' })],
    ['receipt-refused', 'an unknown critical member', headed({ crit: ['x'], x: 1 })],
    ['receipt-refused', 'an altered payload', `${head}.A${body.slice(1)}.${signature}`],
    ['receipt-refused', 'no signature', `${head}.${body}.`],
    ['receipt-refused', 'nothing', ''],
    ['receipt-refused', 'longer than 65536 characters', good + 'A'.repeat(65_536)],
  ];
  return { payload, canonical, jws: good, refused: refusedJson(refused) };
}

const DRILL_ID = 'd1'.repeat(16);

function statement(): JsonObject {
  const header = { alg: 'EdDSA', kid, typ: 'lapse-drill+jws' };
  const way = { attempts: 912, reads: 900, late: 0, attemptsAfter: 11, errno: 2 };
  const seen = { ...way, lastRead: 7_100_150, firstDenied: 7_100_260 };
  const common = { purpose: 'lapse-drill', realm: REALM, host: 'web-1.example', boot: BOOT, drill: DRILL_ID };
  const refusal = { ...common, kind: 'refused', code: 'drill-off' };
  const armed = { ...common, kind: 'armed', version: 7 };
  const observed = {
    ...common,
    kind: 'observed',
    version: 7,
    moments: {
      pushed: 3_000_100,
      received: 7_100_000,
      verified: 7_100_080,
      denied: 7_100_140,
      invalidated: 7_100_200,
      zeroed: 7_100_190,
      receiptSigned: 7_100_400,
    },
    serviceBoot: '6b1d5c0e-0000-4000-8000-000000000002',
    ways: { reopen: seen, held: { ...seen, errno: 13 }, mapped: { ...seen, errno: 1000 }, watched: way },
  };
  const signed = (json: Json): string => jws(header, canonicalJson(json), sign);
  const saying = (change: JsonObject): string => signed({ ...observed, ...change });
  const headed = (change: JsonObject, by = sign): string =>
    jws({ ...header, ...change }, canonicalJson(armed), by);
  const refused: Refused = [
    ['drill-refused', 'of another realm', saying({ realm: '00'.repeat(32) })],
    ['drill-refused', 'in the name of another host', saying({ host: 'web-2' })],
    ['drill-refused', 'of another purpose', saying({ purpose: 'lapse-receipt' })],
    ['drill-refused', 'a kind that there is not', saying({ kind: 'passed' })],
    ['drill-refused', 'a code of two words', signed({ ...refusal, code: 'all well' })],
    ['drill-refused', 'a boot id with a line break', jws(header, JSON.stringify({ ...observed, boot: 'a\nb' }), sign)],
    ['metadata-malformed', 'a drill whose id is short', saying({ drill: 'd1' })],
    ['metadata-malformed', 'version 0', saying({ version: 0 })],
    ['json-not-canonical', 'a moment that is no whole number', jws(header, JSON.stringify({ ...observed, moments: { cut: 1.5 } }), sign)],
    ['metadata-malformed', 'a moment before the boot', saying({ moments: { cut: -1 } })],
    ['metadata-malformed', 'three ways', saying({ ways: { reopen: way, held: way, mapped: way } })],
    ['metadata-malformed', 'a way without its control', saying({ ways: { ...observed.ways, held: { attempts: 1, reads: 1, late: 0, errno: 2 } } })],
    ['metadata-malformed', 'a list', signed([])],
    ['json-duplicate-key', 'a member twice', jws(header, `{"kind":"refused",${text(canonicalJson(armed)).slice(1)}`, sign)],
    ['drill-refused', 'alg none', headed({ alg: 'none' }, () => new Uint8Array(0))],
    ['drill-refused', "another key's signature", headed({}, signWith(stranger.privateKey))],
    ['drill-refused', 'another kid', headed({ kid: thumbprint(stranger.jwk) })],
    ['drill-refused', 'a receipt', headed({ typ: 'lapse-receipt+jws' })],
    ['drill-refused', 'nothing', ''],
    ['drill-refused', 'longer than 8192 characters', `${signed(armed)}${'A'.repeat(8192)}`],
  ];
  const said = [refusal, armed, observed].map((payload) => ({ payload, jws: signed(payload) }));
  return { said, refused: refusedJson(refused) };
}

function order(): JsonObject {
  const good = {
    id: DRILL_ID,
    kind: 'revoke',
    hosts: ['web-1.example', 'web-2'],
    workload: 'lapse-probe',
    trials: 210,
    until: formatInstant(NOW + 3_600_000),
    settleMs: 200,
  };
  const crash = { victims: ['server', 'holder'], means: ['kill'], withinMs: 500 };
  const { until: _, ...withoutEnd } = good;
  const refused: readonly (readonly [code: string, reason: string, order: Json])[] = [
    ['drill-refused', 'a kind that there is not', { ...good, kind: 'destroy' }],
    ['drill-refused', 'a crash that does not say how', { ...good, kind: 'crash' }],
    ['drill-refused', 'a revocation that says how to crash', { ...good, crash }],
    ['drill-refused', 'a crash of nobody', { ...good, kind: 'crash', crash: { ...crash, victims: [] } }],
    ['drill-refused', 'a victim that there is not', { ...good, kind: 'crash', crash: { ...crash, victims: ['init'] } }],
    ['metadata-malformed', 'no end', withoutEnd],
    ['metadata-malformed', 'no trials', { ...good, trials: 0 }],
    ['metadata-malformed', 'too many trials', { ...good, trials: 10_001 }],
    ['metadata-malformed', 'settles for too long', { ...good, settleMs: 10_001 }],
    ['metadata-malformed', 'an id that is short', { ...good, id: 'd1' }],
    ['metadata-malformed', 'a list', []],
    ['name-invalid', 'a host whose name is none', { ...good, hosts: ['-'] }],
    ['name-invalid', 'a workload whose name is none', { ...good, workload: '../self' }],
  ];
  return {
    good: [good, { ...good, kind: 'crash', crash }],
    refused: refused.map(([code, reason, value]) => ({ code, reason, order: value })),
  };
}

const secret = Buffer.alloc(32, 0x5e);
const invitation = {
  service: 'https://lapse.example:7437',
  pin: `sha256:${base64url(Buffer.alloc(32, 0xaa))}`,
  realm: REALM,
  id: 'c3'.repeat(16),
  secret: base64url(secret),
  pools: ['default', 'edge'],
  expires: formatInstant(NOW + 3_600_000),
};

function invite(): JsonObject {
  const line = (json: Json): string => `lapse-join-1.${base64url(canonicalJson(json))}`;
  const without = (member: string): string =>
    line(Object.fromEntries(Object.entries(invitation).filter(([key]) => key !== member)));
  const good = line(invitation);
  const refused: readonly (readonly [reason: string, value: string])[] = [
    ['another version', good.replace('join-1', 'join-2')],
    ['cut off', good.slice(0, -8)],
    ['no JSON', `lapse-join-1.${base64url('invite')}`],
    ['a list', line([])],
    ['a secret of 31 bytes', line({ ...invitation, secret: base64url(secret.subarray(1)) })],
    ['a realm that is none', line({ ...invitation, realm: '7e' })],
    ['an id that is short', line({ ...invitation, id: 'c3' })],
    ['no pools', line({ ...invitation, pools: [] })],
    ['a pool twice', line({ ...invitation, pools: ['default', 'default'] })],
    ['an end that is no time', line({ ...invitation, expires: 'never' })],
    ['a pin that is no text', line({ ...invitation, pin: 1 })],
    ...['service', 'realm', 'id', 'secret', 'pools', 'expires'].map(
      (member) => [`without ${member}`, without(member)] as const,
    ),
    ['nothing', ''],
    ['longer than 4096 characters', line({ ...invitation, more: 'A'.repeat(4096) })],
  ];
  return {
    line: good,
    invitation,
    refused: refusedJson(refused.map(([reason, value]) => ['invite-malformed', reason, value])),
  };
}

function join(): JsonObject {
  const { realm, id, pools } = invitation;
  const asked = { id, name: 'web-1.example', signing: signing.jwk, encryption: encryption.jwk, pools };
  const bound = text(canonicalJson({ purpose: 'lapse-join', realm, ...asked }));
  const mac = createHmac('sha256', secret).update(bound).digest('hex');
  const good = { ...asked, mac };
  const altered: Record<string, JsonObject> = {
    'another name': { name: 'web-2' },
    'another signing key': { signing: stranger.jwk },
    'another encryption key': { encryption: pool.jwk },
    'fewer pools': { pools: ['default'] },
    'more pools': { pools: [...pools, 'prod'] },
    'pools in another order': { pools: pools.toReversed() },
    'another invitation': { id: '00'.repeat(16) },
    'another MAC': { mac: '00'.repeat(32) },
  };
  return {
    bound,
    request: good,
    refused: Object.entries(altered).map(([reason, change]) => ({
      code: 'join-refused',
      reason,
      request: { ...good, ...change },
    })),
  };
}

function echo(): JsonObject {
  const nonce = '0f'.repeat(32);
  const timestamp = signMetadata(timestampJson(fileMeta(Buffer.from('snapshot'), 1)), [KEYS.timestamp]);
  const signed = { _type: 'lapse-echo', nonce, version: 41, sha256: 'cd'.repeat(32) };
  const answer = (change: JsonObject, key = KEYS.timestamp): string =>
    text(signMetadata({ ...signed, ...change }, [key]));
  const good = answer({});
  const refused: Refused = [
    ['echo-mismatch', 'to another nonce', answer({ nonce: 'f0'.repeat(32) })],
    ['signature-threshold', 'by the snapshot key', answer({}, KEYS.snapshot)],
    ['signature-threshold', 'by a stranger', answer({}, KEYS.stranger)],
    ['signature-threshold', 'altered after signing', good.replace('"version":41', '"version":42')],
    ['signature-threshold', 'unsigned', JSON.stringify({ signed, signatures: [] })],
    ['metadata-type', 'a timestamp', text(timestamp)],
    ['metadata-type', 'an echo that says it is a timestamp', answer({ _type: 'timestamp' })],
    ['metadata-malformed', 'version 0', answer({ version: 0 })],
    ['metadata-malformed', 'a nonce of 16 bytes', answer({ nonce: '0f'.repeat(16) })],
    ['metadata-malformed', 'a hash of another length', answer({ sha256: 'cd' })],
    ['json-too-large', 'larger than 4096 bytes', answer({ more: 'x'.repeat(4096) })],
  ];
  return { nonce, version: 41, sha256: 'cd'.repeat(32), file: good, refused: refusedJson(refused) };
}

export function hostVectors(write: Write): void {
  const { bytes, json } = keyring();
  write(
    'host',
    'What a host says and is told besides TUF files, and a drill\'s order (the member `drill` of a role), and what is refused in its place. Private keys are 32 times one byte: the host signs with 0x21 and decrypts with 0x44, the pool has 0x77, a stranger signs with 0x99; the secret of the invitation is 0x5e; the timestamp key is that of realm.json. Times are milliseconds since the epoch.',
    {
      realm: REALM,
      record: record(bytes),
      keyring: json,
      token: token(),
      receipt: receipt(),
      statement: statement(),
      order: order(),
      invite: invite(),
      join: join(),
      echo: echo(),
    },
  );
}
