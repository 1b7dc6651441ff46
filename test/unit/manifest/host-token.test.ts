// A host's word who it is: accepted for one realm, for a minute, under that host's own key, and as nothing else.
import { beforeAll, describe, expect, test } from 'vitest';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import {
  TOKEN_LIFETIME_S,
  TOKEN_TOLERANCE_S,
  signHostToken,
  verifyHostToken,
} from '../../../manifest/realm/host-token.ts';
import { codeOfAsync, privateKey } from './repository.ts';
import { hostRecord, hostVector } from './host-vector.ts';

const { realm, token: vector } = hostVector;
const record = hostRecord();
const key = privateKey('ed25519', 0x21);
const find = (kid: string) => (kid === record.kid ? record : undefined);
const verify = (token: string, now = vector.now, of = realm) =>
  verifyHostToken(token, find, parseRealmId(of), now);

describe('vectors', () => {
  test('the token', async () => {
    expect(await verify(vector.jwt)).toEqual({
      host: 'web-1.example',
      jti: vector.jti,
      until: vector.now + (TOKEN_LIFETIME_S + TOKEN_TOLERANCE_S) * 1000,
    });
  });

  test('what signHostToken says is that token', async () => {
    const terms = { host: record.name, kid: record.kid, realm: parseRealmId(realm), jti: vector.jti };
    const parts = (await signHostToken(terms, key, vector.now)).split('.').slice(0, 2);
    const [header, claims] = parts.map(
      (part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object,
    );
    expect(header).toEqual(vector.header);
    expect(claims).toEqual(vector.claims);
  });

  test.for(vector.refused)('$code: $reason', async ({ code, value }) => {
    expect(await codeOfAsync(() => verify(value))).toBe(code);
  });
});

describe('its time', () => {
  let token: string;
  beforeAll(async () => {
    const jti = Buffer.alloc(16, 7).toString('base64url');
    const terms = { host: record.name, kid: record.kid, realm: parseRealmId(realm), jti };
    token = await signHostToken(terms, key, vector.now + 999);
  });

  test.for([
    ['token-early', -TOKEN_TOLERANCE_S * 1000 - 1],
    [undefined, -TOKEN_TOLERANCE_S * 1000],
    [undefined, (TOKEN_LIFETIME_S + TOKEN_TOLERANCE_S) * 1000 - 1000],
    ['token-expired', (TOKEN_LIFETIME_S + TOKEN_TOLERANCE_S) * 1000],
  ] as const)('%s at %d ms', async ([code, offset]) => {
    expect(await codeOfAsync(() => verify(token, vector.now + offset))).toBe(code);
  });

  test('what remembers a jti until `until` never sees it good again', async () => {
    const { until } = await verify(token);
    expect(await codeOfAsync(() => verify(token, until))).toBe('token-expired');
  });
});

test('it is no token of another realm', async () => {
  expect(await codeOfAsync(() => verify(vector.jwt, vector.now, '00'.repeat(32)))).toBe('token-malformed');
});

test('a host that is removed is unknown, and so is one whose record has another key', async () => {
  const none = () => undefined;
  const realmOf = parseRealmId(realm);
  expect(await codeOfAsync(() => verifyHostToken(vector.jwt, none, realmOf, vector.now))).toBe(
    'host-unknown',
  );
  const { x } = privateKey('ed25519', 9).export({ format: 'jwk' });
  const swapped = () => ({ ...record, signing: { ...record.signing, x: x ?? '' } });
  expect(await codeOfAsync(() => verifyHostToken(vector.jwt, swapped, realmOf, vector.now))).toBe(
    'token-malformed',
  );
});

test('it speaks for the host of the key, whatever other host has a record', async () => {
  const other = { ...record, name: parseHostName('web-2') };
  expect(
    await codeOfAsync(() => verifyHostToken(vector.jwt, () => other, parseRealmId(realm), vector.now)),
  ).toBe('token-malformed');
});
