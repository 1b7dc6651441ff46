// Files that the role's keys did not sign, or not enough of them (TUF 1.0.34 §5.3.4, §5.4.2, §5.5.3, §5.6.3).
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import type { Signer } from '../../../manifest/tuf/metadata.ts';
import {
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publish,
  publishAll,
  resign,
  testKey,
  trust,
  utf8,
} from './repository.ts';
import { rootJson, snapshotJson, targetsJson, timestampJson } from './repository.ts';

const version = 2;
const names = { 'targets.json': { version }, 'payments.json': { version } };

/** A set one step before the role, and that step; nothing here carries a hash, so only signatures speak. */
const steps: Record<
  string,
  { signed: JsonObject; owner: Signer; step: (set: TrustedSet, file: Uint8Array) => TrustedSet }
> = {
  root: { signed: rootJson({ version }), owner: KEYS.root, step: updateRoot },
  timestamp: {
    signed: timestampJson({ version }, { version }),
    owner: KEYS.timestamp,
    step: (set, file) => updateTimestamp(set, file, NOW),
  },
  snapshot: {
    signed: snapshotJson(names, { version }),
    owner: KEYS.snapshot,
    step: (set, file) => updateSnapshot(named(set), file, NOW),
  },
  targets: {
    signed: targetsJson({ version }),
    owner: KEYS.targets,
    step: (set, file) => updateTargets(listed(set), 'targets', file, NOW),
  },
  payments: {
    signed: targetsJson({ version }),
    owner: KEYS.payments,
    step: (set, file) =>
      updateTargets(updateTargets(listed(set), 'targets', publishAll(2).targets, NOW), 'payments', file, NOW),
  },
};

function named(set: TrustedSet): TrustedSet {
  return updateTimestamp(set, resign(timestampJson({ version }, { version }), KEYS.timestamp), NOW);
}

function listed(set: TrustedSet): TrustedSet {
  return updateSnapshot(named(set), resign(snapshotJson(names, { version }), KEYS.snapshot), NOW);
}

describe.for(Object.entries(steps))('%s', ([, { signed, owner, step }]) => {
  const good = resign(signed, owner);
  const parse = (file: Uint8Array) =>
    JSON.parse(new TextDecoder().decode(file)) as {
      signed: JsonObject;
      signatures: { keyid: string; sig: string }[];
    };
  const attacks: Record<string, Uint8Array> = {
    'nobody signed': resign(signed),
    'a stranger signed': resign(signed, KEYS.stranger),
    "a stranger signed under the owner's key id": resign(signed, { ...KEYS.stranger, keyid: owner.keyid }),
    'the content was changed': utf8(JSON.stringify({ ...parse(good), signed: { ...signed, more: 1 } })),
    'the signature was cut off': utf8(
      JSON.stringify({
        signed,
        signatures: [{ keyid: owner.keyid, sig: parse(good).signatures[0]!.sig.slice(2) }],
      }),
    ),
    'the signature is of the spaced text': resign(signed, {
      keyid: owner.keyid,
      sign: () => owner.sign(utf8(JSON.stringify(signed, null, 1))),
    }),
    'a prehash was signed': resign(signed, {
      keyid: owner.keyid,
      sign: (bytes) => owner.sign(createHash('sha512').update(bytes).digest()),
    }),
  };
  test.for(Object.entries(attacks))('%s', ([, file]) => {
    expectRefused(
      trust(publishAll(1)),
      'signature-threshold',
      (set) => step(set, file),
      (set) => step(set, good),
    );
  });
});

describe('a threshold', () => {
  const [one, two, three] = [testKey(21), testKey(22), testKey(23)];
  const table = (...keys: (typeof one)[]) =>
    Object.fromEntries(
      keys.map(({ keyid, hex }) => [
        keyid,
        { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } },
      ]),
    );
  const ecdsa = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: 'PEM' } };

  function rootOf(threshold: number, keyids: string[], keys: JsonObject): JsonObject {
    const base = rootJson();
    return {
      ...base,
      keys: { ...(base['keys'] as JsonObject), ...keys },
      roles: { ...(base['roles'] as JsonObject), root: { keyids, threshold } },
    };
  }
  const twoOfThree = rootOf(2, [one.keyid, two.keyid, three.keyid], table(one, two, three));

  test('of two is met by two different keys', () => {
    expect(codeOf(() => trustRoot(resign(twoOfThree, one, three)))).toBeUndefined();
  });

  test('of two is not met by one key and a stranger', () => {
    expect(codeOf(() => trustRoot(resign(twoOfThree, one, KEYS.stranger)))).toBe('signature-threshold');
  });

  test('counts no key that stands in the table but not in the role', () => {
    expect(codeOf(() => trustRoot(resign(twoOfThree, one, KEYS.targets)))).toBe('signature-threshold');
  });

  test('above the number of keys is never met', () => {
    const root = rootOf(3, [one.keyid, two.keyid], table(one, two));
    expect(codeOf(() => trustRoot(resign(root, one, two)))).toBe('signature-threshold');
  });

  test.for([0, -1, 1.5, '1', null])('of %s is malformed', (threshold) => {
    const root = rootOf(1, [one.keyid], table(one));
    const roles = { ...(root['roles'] as JsonObject), root: { keyids: [one.keyid], threshold } };
    const file = utf8(JSON.stringify({ signed: { ...root, roles }, signatures: [] }));
    expect(codeOf(() => trustRoot(file))).toBe(
      threshold === 1.5 ? 'json-not-canonical' : 'metadata-malformed',
    );
  });

  test('cannot count a key type that is not known, but its signature spoils no file', () => {
    const root = rootOf(1, ['token', one.keyid], { ...table(one), token: ecdsa });
    const token = { keyid: 'token', sign: () => new Uint8Array(71) };
    expect(codeOf(() => trustRoot(resign(root, token, one)))).toBeUndefined();
    expect(codeOf(() => trustRoot(resign(root, token)))).toBe('signature-threshold');
  });

  test('of two with one usable key is never met', () => {
    const root = rootOf(2, ['token', one.keyid], { ...table(one), token: ecdsa });
    const token = { keyid: 'token', sign: (bytes: Uint8Array) => one.sign(bytes) };
    expect(codeOf(() => trustRoot(resign(root, token, one)))).toBe('signature-threshold');
  });

  test('ignores a key id for which no key is listed', () => {
    const root = rootOf(1, ['gone', one.keyid], table(one));
    expect(codeOf(() => trustRoot(resign(root, { ...one, keyid: 'gone' })))).toBe('signature-threshold');
    expect(codeOf(() => trustRoot(resign(root, one)))).toBeUndefined();
  });

  test.for(['00'.repeat(31), '0g'.repeat(32), 'AA'.repeat(32), 7])(
    'an ed25519 key %s is malformed',
    (hex) => {
      const bad = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } };
      const file = resign(rootOf(1, [one.keyid], { ...table(one), bad }), one);
      expect(codeOf(() => trustRoot(file))).toBe('metadata-malformed');
    },
  );

  test('a public key that is no point of the curve verifies nothing', () => {
    const nothing = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 'ff'.repeat(32) } };
    const file = resign(rootOf(1, ['nothing'], { nothing }), { ...one, keyid: 'nothing' });
    expect(codeOf(() => trustRoot(file))).toBe('signature-threshold');
  });
});

test('a root from a trusted way must still be signed by its own keys', () => {
  expect(codeOf(() => trustRoot(resign(rootJson(), KEYS.stranger)))).toBe('signature-threshold');
  expect(codeOf(() => trustRoot(publish().root))).toBeUndefined();
});
