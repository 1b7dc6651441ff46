// Whatever JSON stands where a realm's documents are expected: it is read, or refused with a code, and never crashes.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { ManifestError } from '../../../manifest/errors.ts';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import { checkEcho } from '../../../manifest/realm/echo.ts';
import {
  parseGenesis,
  parseJoins,
  parseNews,
  parseOnlineKeys,
  parsePublish,
  parsePublished,
  parseReceiptsPost,
  parseStoredReceipts,
} from '../../../manifest/realm/exchange.ts';
import { genesisFleet, readFleet } from '../../../manifest/realm/fleet.ts';
import { verifyHostToken } from '../../../manifest/realm/host-token.ts';
import { parseKeyring, readHosts } from '../../../manifest/realm/hosts.ts';
import { parseInvite, readJoin } from '../../../manifest/realm/invite.ts';
import { readPolicy } from '../../../manifest/realm/policy.ts';
import { readRealm } from '../../../manifest/realm/realm.ts';
import { verifyReceipt } from '../../../manifest/realm/receipt.ts';
import { readWithdrawals } from '../../../manifest/realm/revoker.ts';
import { damaged } from './damaged.ts';
import { hostRecord, hostVector } from './host-vector.ts';
import {
  CUSTODIAN,
  KEYS,
  LATER,
  NOW,
  delegatingJson,
  one,
  publish,
  targetsJson,
  trust,
  unsigned,
  unsignedTargets,
  utf8,
} from './repository.ts';

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
const set = trust(publish());
const record = hostRecord();
const realm = parseRealmId(hostVector.realm);
const fleet = genesisFleet({ ...one(KEYS.fleet), custodians: [CUSTODIAN.key] }, LATER);

const asBytes = (value: Json): Uint8Array => utf8(JSON.stringify(value));
const join = hostVector.join.request;
const news = { timestamp: '', files: { a: '' } };
const stored = { receipts: [{ id: 1, host: 'a', jws: 'j', at: 1 }], last: 1 };

const readersOf: readonly (readonly [string, Json, (value: Json) => unknown])[] = [
  ['targets as a realm', delegatingJson(), (value) => readRealm(unsigned(value as JsonObject))],
  ['fleet', fleet, (value) => readFleet(unsigned(value as JsonObject))],
  ['fleet-hosts', hostVector.record.targets, (value) => readHosts(unsignedTargets(value as JsonObject))],
  [
    'a revoker',
    { db: { revokedThrough: 1, revoked: [3], grants: { web: 1 } } },
    (value) => readWithdrawals(unsigned(targetsJson({ withdrawals: value }))),
  ],
  [
    'a policy',
    (delegatingJson()['policies'] as JsonObject)['payments']!,
    (value) => readPolicy(value, 'policy'),
  ],
  ['a keyring', JSON.parse(hostVector.keyring.file) as Json, (value) => parseKeyring(asBytes(value))],
  ['a request to join', join, readJoin],
  ['requests to join', { joins: [join] }, (value) => parseJoins(asBytes(value))],
  [
    'an invitation',
    hostVector.invite.invitation,
    (value) => parseInvite(utf8(`lapse-join-1.${Buffer.from(asBytes(value)).toString('base64url')}`)),
  ],
  [
    'an echo',
    JSON.parse(hostVector.echo.file) as Json,
    (value) => checkEcho(set, asBytes(value), hostVector.echo.nonce),
  ],
  [
    'genesis',
    { root: '', roles: [{ name: 'a', metadata: '' }], lease: 1 },
    (value) => parseGenesis(asBytes(value)),
  ],
  [
    'a publish',
    { roles: [{ name: 'a', metadata: '' }], files: [''] },
    (value) => parsePublish(asBytes(value)),
  ],
  [
    'its answer',
    { roles: { a: 1 }, snapshot: 1, timestamp: 1, at: 1, boot: 'b' },
    (value) => parsePublished(asBytes(value)),
  ],
  ['news', news, (value) => parseNews(asBytes(value))],
  [
    'online keys',
    { snapshot: 'ab'.repeat(32), timestamp: 'ab'.repeat(32) },
    (value) => parseOnlineKeys(asBytes(value)),
  ],
  ['receipts that are posted', { receipts: ['j'] }, (value) => parseReceiptsPost(asBytes(value))],
  ['receipts that are stored', stored, (value) => parseStoredReceipts(asBytes(value))],
];

/** Its error, if it is one of ours; any other is a crash. */
function attempt(act: () => unknown): ManifestError | undefined {
  try {
    act();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error;
  }
  return undefined;
}

describe.for(readersOf)('%s', ([, good, read]) => {
  test('is read when it is whole', () => {
    expect(attempt(() => read(good))).toBeUndefined();
  });

  test('is read or refused when a part is anything', () => {
    fc.assert(
      fc.property(damaged(good), (value) => {
        attempt(() => read(value));
      }),
      { numRuns: 300 },
    );
  });

  test('is read or refused when it is anything', () => {
    fc.assert(
      fc.property(json, (value) => {
        attempt(() => read(value));
      }),
      { numRuns: 100 },
    );
  });
});

describe('tokens and receipts of any text', () => {
  const part = fc.oneof(
    fc.base64String(),
    fc.string(),
    json.map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
  );
  const header = fc.record(
    {
      alg: fc.oneof(fc.constant('EdDSA'), json),
      kid: fc.oneof(fc.constant(record.kid), json),
      typ: json,
      crit: json,
      b64: json,
    },
    { requiredKeys: [] },
  );
  const head = fc.oneof(
    part,
    header.map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
  );
  const jws = fc.tuple(head, part, part).map((parts) => parts.join('.'));

  test('are refused', async () => {
    const refused = fc.asyncProperty(fc.oneof(jws, fc.string()), async (text) => {
      const find = (kid: string) => (kid === record.kid ? record : undefined);
      await expect(verifyHostToken(text, find, realm, NOW)).rejects.toBeInstanceOf(ManifestError);
      await expect(verifyReceipt(text, record, realm)).rejects.toBeInstanceOf(ManifestError);
    });
    await fc.assert(refused, { numRuns: 300 });
  });
});

test('host names of any text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      attempt(() => parseHostName(text));
    }),
  );
});
