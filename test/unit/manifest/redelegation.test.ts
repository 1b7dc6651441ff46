// A namespace gets other people: the delegation says so, nobody who left keeps a key in it, and no revoker vanishes.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parsePoolName } from '../../../manifest/names.ts';
import {
  delegateNamespace,
  genesisTargets,
  namespaceTerms,
  readRealm,
  redelegateNamespace,
} from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import { recipientOf } from '../../../manifest/realm/recipient.ts';
import type { Verified } from '../../../manifest/tuf/metadata.ts';
import { withSignatures } from '../../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import type { Targets } from '../../../manifest/tuf/targets.ts';

const [fleet, ada, bob, eve] = ['f', 'a', 'b', 'e'].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
  string,
];
const payments = parseNamespace('payments');
const policy = {
  pools: [parsePoolName('default')],
  custodians: [recipientOf({ kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32, 9).toString('base64url') })],
  whenStale: 'deny',
} as const;
const terms: NamespaceTerms = { signers: [ada, eve], threshold: 2, revokers: [eve], policy };

/** As a verified file of these members would be. */
function targetsOf(members: JsonObject): Verified<Targets> {
  const bytes = withSignatures(members, []);
  return { bytes, sha256: '', raw: members, role: parseTargets(bytes).role };
}

const genesis = genesisTargets({ signers: [fleet], threshold: 1 }, Date.parse('2030-01-01T00:00:00Z'));
function delegated(first: NamespaceTerms): Verified<Targets> {
  const other = { ...genesis, ...delegateNamespace(targetsOf(genesis), parseNamespace('billing'), terms) };
  return targetsOf({ ...other, ...delegateNamespace(targetsOf(other), payments, first) });
}
const next = (targets: Verified<Targets>, change: NamespaceTerms): Verified<Targets> =>
  targetsOf({ ...targets.raw, ...redelegateNamespace(targets, payments, change) });

test('what is delegated can be read back', () => {
  expect(namespaceTerms(delegated(terms), payments)).toEqual(terms);
});

test('other people, another policy; the neighbours stay as they are', () => {
  const changed: NamespaceTerms = {
    signers: [bob],
    threshold: 1,
    revokers: [ada, bob],
    policy: { ...policy, leaseSeconds: 30, whenStale: 'serve' },
  };
  const after = next(delegated(terms), changed);
  expect(namespaceTerms(after, payments)).toEqual(changed);
  expect(namespaceTerms(after, parseNamespace('billing'))).toEqual(terms);
  expect([...after.role.delegations.keys()]).toEqual([
    'fleet',
    'billing',
    'billing-revoker',
    'payments',
    'payments-revoker',
  ]);
});

test('a key that no role names any more is gone', () => {
  const first = delegateNamespace(targetsOf(genesis), payments, terms);
  const after = next(targetsOf({ ...genesis, ...first }), {
    ...terms,
    signers: [bob],
    threshold: 1,
    revokers: [bob],
  });
  const text = JSON.stringify(after.raw);
  expect(text).toContain(bob);
  expect(text).toContain(fleet);
  expect(text).not.toContain(ada);
  expect(text).not.toContain(eve);
});

test('a namespace without a revoker gets one, and then keeps one', () => {
  const without = delegated({ ...terms, revokers: [] });
  expect(readRealm(without).get(payments)?.hasRevoker).toBe(false);
  const withOne = next(without, { ...terms, revokers: [bob] });
  expect(readRealm(withOne).get(payments)?.hasRevoker).toBe(true);
  expect(() => redelegateNamespace(withOne, payments, { ...terms, revokers: [] })).toThrow(
    expect.objectContaining({ code: 'policy-malformed' }),
  );
});

test('members of the policy that this version does not know stay', () => {
  const before = delegated(terms);
  const policies = before.raw['policies'] as JsonObject;
  const known = policies['payments'] as JsonObject;
  const raw = { ...before.raw, policies: { ...policies, payments: { ...known, responses: ['freeze'] } } };
  expect(next(targetsOf(raw), terms).raw['policies']).toMatchObject({ payments: { responses: ['freeze'] } });
});

test('a namespace that is not delegated has no terms', () => {
  expect(() => namespaceTerms(targetsOf(genesis), payments)).toThrow(
    expect.objectContaining({ code: 'role-unknown' }),
  );
});
