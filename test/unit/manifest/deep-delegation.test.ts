// Roles below a delegated role: `fleet-hosts` is verified by what `fleet` says, and by nobody else's word.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { genesisFleet, readFleet } from '../../../manifest/realm/fleet.ts';
import { delegateNamespace, delegation, keyTable } from '../../../manifest/realm/realm.ts';
import {
  currentRole,
  roleKeys,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
  trustRoot,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import type { TestKey } from './repository.ts';
import {
  CUSTODIAN,
  KEYS,
  LATER,
  NOW,
  codeOf,
  delegatingJson,
  expectRefused,
  fileMeta,
  one,
  resign,
  rootJson,
  snapshotJson,
  targetsJson,
  timestampJson,
  unsigned,
} from './repository.ts';

const ROOT = resign(rootJson(), KEYS.root);
type Roles = Readonly<Record<string, Uint8Array>>;

/** `fleet`, signed by its key, which gives fleet-hosts to `hosts`. */
function fleetJson(hosts: TestKey = KEYS.fleetHosts, change: JsonObject = {}): JsonObject {
  const genesis = genesisFleet({ ...one(KEYS.fleet), custodians: [CUSTODIAN.key] }, LATER);
  const delegations = {
    keys: keyTable([hosts.hex]),
    roles: [delegation('fleet-hosts', 'fleet-hosts/*', one(hosts))],
  };
  return { ...genesis, delegations, ...change };
}

const hostsJson = (change: JsonObject = {}): JsonObject => targetsJson(change);

/** The next timestamp and snapshot, which name these files in these versions. */
function online(
  set: TrustedSet,
  version: number,
  roles: Roles,
  versions: Record<string, number>,
): TrustedSet {
  const meta = Object.fromEntries(
    Object.entries(roles).map(([name, file]) => [`${name}.json`, fileMeta(file, versions[name] ?? 1)]),
  );
  const snapshot = resign(snapshotJson(meta, { version }), KEYS.snapshot);
  const timestamp = resign(timestampJson(fileMeta(snapshot, version), { version }), KEYS.timestamp);
  return updateSnapshot(updateTimestamp(set, timestamp, NOW), snapshot, NOW);
}

const first = {
  targets: resign(delegatingJson(), KEYS.targets),
  fleet: resign(fleetJson(), KEYS.fleet),
  'fleet-hosts': resign(hostsJson(), KEYS.fleetHosts),
};
const begun = online(trustRoot(ROOT), 1, first, {});
const withTargets = updateTargets(begun, 'targets', first.targets, NOW);
const withFleet = updateTargets(withTargets, 'fleet', first.fleet, NOW);
const held = updateTargets(withFleet, 'fleet-hosts', first['fleet-hosts'], NOW, 'fleet');

describe('a role of depth two', () => {
  test('is verified by its delegator’s keys', () => {
    expect(held.targets.get('fleet-hosts')!.delegator).toBe('fleet');
    expect([...roleKeys(held, 'fleet-hosts', 'fleet').keys.keys()]).toEqual([KEYS.fleetHosts.keyid]);
  });

  test.for([
    ['targets', KEYS.targets],
    ['fleet', KEYS.fleet],
    ['snapshot', KEYS.snapshot],
    ['a stranger', KEYS.stranger],
  ] as const)('is not signed by %s', ([, key]) => {
    const forged = { ...first, 'fleet-hosts': resign(hostsJson({ version: 2 }), key) };
    const set = online(held, 2, forged, { 'fleet-hosts': 2 });
    expectRefused(
      set,
      'signature-threshold',
      (old) => updateTargets(old, 'fleet-hosts', forged['fleet-hosts'], NOW, 'fleet'),
      (old) =>
        online(
          old,
          3,
          { ...first, 'fleet-hosts': resign(hostsJson({ version: 3 }), KEYS.fleetHosts) },
          { 'fleet-hosts': 3 },
        ),
    );
  });

  test('waits for its delegator', () => {
    const early = () => updateTargets(withTargets, 'fleet-hosts', first['fleet-hosts'], NOW, 'fleet');
    expect(codeOf(early)).toBe('metadata-missing');
    const stale = online(
      held,
      2,
      { ...first, fleet: resign(fleetJson(KEYS.fleetHosts, { version: 2 }), KEYS.fleet) },
      { fleet: 2 },
    );
    expect(codeOf(() => updateTargets(stale, 'fleet-hosts', first['fleet-hosts'], NOW, 'fleet'))).toBe(
      'metadata-missing',
    );
  });

  test('is no role of targets', () => {
    expect(codeOf(() => updateTargets(withFleet, 'fleet-hosts', first['fleet-hosts'], NOW))).toBe(
      'role-unknown',
    );
  });

  test('and a role of targets is none of fleet', () => {
    expect(codeOf(() => updateTargets(held, 'fleet', first.fleet, NOW, 'fleet'))).toBe('role-unknown');
  });
});

describe('a delegator that changes', () => {
  const next = (fleet: JsonObject): TrustedSet => {
    const roles = { ...first, fleet: resign({ ...fleet, version: 2 }, KEYS.fleet) };
    return updateTargets(online(held, 2, roles, { fleet: 2 }), 'fleet', roles.fleet, NOW);
  };

  test('in something else keeps what is below it', () => {
    expect(currentRole(next(fleetJson()), 'fleet-hosts')).toBe(held.targets.get('fleet-hosts'));
  });

  test('in its keys drops what is below it, and the old keys do not bring it back', () => {
    const set = next(fleetJson(KEYS.stranger));
    expect(set.targets.has('fleet-hosts')).toBe(false);
    expect(codeOf(() => updateTargets(set, 'fleet-hosts', first['fleet-hosts'], NOW, 'fleet'))).toBe(
      'signature-threshold',
    );
  });

  test('in its threshold drops it, too', () => {
    const { delegations } = fleetJson() as { delegations: { keys: JsonObject; roles: [JsonObject] } };
    const roles = [{ ...delegations.roles[0], threshold: 2 }];
    expect(
      next(fleetJson(KEYS.fleetHosts, { delegations: { ...delegations, roles } })).targets.has('fleet-hosts'),
    ).toBe(false);
  });

  test('and no longer delegates drops it', () => {
    const set = next(fleetJson(KEYS.fleetHosts, { delegations: { keys: {}, roles: [] } }));
    expect(set.targets.has('fleet-hosts')).toBe(false);
    expect(codeOf(() => readFleet(set.targets.get('fleet')!))).toBe('fleet-malformed');
  });
});

test('when targets gives fleet other keys, fleet goes, and all below it with it', () => {
  const keys = { ...KEYS, fleet: KEYS.stranger };
  const targets = resign(delegatingJson({ version: 2 }, keys), KEYS.targets);
  const set = updateTargets(online(held, 2, { ...first, targets }, { targets: 2 }), 'targets', targets, NOW);
  expect([...set.targets.keys()]).toEqual(['targets']);
});

describe('one name under two delegators', () => {
  // A fleet that was broken into delegates `payments`, which targets has given to its owner.
  const payments = resign(targetsJson(), KEYS.payments);
  const forged = resign(targetsJson({ targets: {}, note: 'forged' }), KEYS.stranger);
  const base = fleetJson() as { delegations: { keys: JsonObject; roles: JsonObject[] } };
  const grabbing = fleetJson(KEYS.fleetHosts, {
    delegations: {
      keys: { ...base.delegations.keys, ...keyTable([KEYS.stranger.hex]) },
      roles: [...base.delegations.roles, delegation('payments', 'payments/*', one(KEYS.stranger))],
    },
    version: 2,
  });

  test('a realm’s reader refuses such a fleet', () => {
    expect(codeOf(() => readFleet(unsigned(grabbing)))).toBe('fleet-malformed');
  });

  test('and whoever asks for the namespace of targets never gets the other one', () => {
    const roles = { ...first, fleet: resign(grabbing, KEYS.fleet), payments: forged };
    let set = updateTargets(online(held, 2, roles, { fleet: 2 }), 'fleet', roles.fleet, NOW);
    expect(codeOf(() => updateTargets(set, 'payments', forged, NOW))).toBe('signature-threshold');
    // Asked for under fleet it verifies, and says so: nothing of it is taken for what targets delegates.
    set = updateTargets(set, 'payments', forged, NOW, 'fleet');
    expect(set.targets.get('payments')!.delegator).toBe('fleet');
  });

  test('what is held under one delegator is not dropped by the other', () => {
    const roles = { ...first, payments };
    let set = online(held, 2, roles, {});
    set = updateTargets(set, 'payments', payments, NOW);
    const fleet = resign(grabbing, KEYS.fleet);
    set = updateTargets(online(set, 3, { ...roles, fleet }, { fleet: 2 }), 'fleet', fleet, NOW);
    expect(currentRole(set, 'payments')?.bytes).toBe(payments);
  });
});

test('a revoker is a role of targets, beside its namespace', () => {
  const genesis = unsigned(delegatingJson());
  const terms = { ...one(KEYS.payments), revokers: [KEYS.revoker.hex] };
  const { policy } = { policy: { pools: [], custodians: [], whenStale: 'deny' as const } };
  const name = 'billing' as Parameters<typeof delegateNamespace>[1];
  const targets = resign(
    { ...genesis.raw, ...delegateNamespace(genesis, name, { ...terms, policy }) },
    KEYS.targets,
  );
  const revoker = resign(targetsJson({ withdrawals: {} }), KEYS.revoker);
  const roles = { targets, 'billing-revoker': revoker };
  const set = updateTargets(online(trustRoot(ROOT), 1, roles, {}), 'targets', targets, NOW);
  expect(currentRole(updateTargets(set, 'billing-revoker', revoker, NOW), 'billing-revoker')).toBeDefined();
  expect(codeOf(() => updateTargets(set, 'billing', revoker, NOW))).toBe('role-unknown');
});
