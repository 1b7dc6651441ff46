// A revoker's role: it lists no files and delegates nothing; its one signed member `withdrawals` takes back versions of
// secrets and, up to a version, single workloads' access. One key is enough for it, so it can do nothing else, and
// nothing in it ever sinks or vanishes. What it takes away is applied to the namespace's secrets here.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseSecretName, parseWorkload } from '../names.ts';
import type { SecretName, Workload } from '../names.ts';
import { array, integer, object } from '../shape.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Targets } from '../tuf/targets.ts';
import { covers, isRevoked, joinFloors, raiseFloor } from './revocation.ts';
import type { Floor } from './revocation.ts';
import type { Secret } from './secret.ts';

/** What is taken back of one secret. */
export interface Withdrawal extends Floor {
  /** By workload: the version up to which, inclusive, it may read none. */
  readonly grants: ReadonlyMap<Workload, number>;
}

export type Withdrawals = ReadonlyMap<SecretName, Withdrawal>;

export const NOTHING_WITHDRAWN: Withdrawal = { revokedThrough: 0, revoked: [], grants: new Map() };

/** @throws ManifestError revoker-exceeds and the readers' codes */
export function readWithdrawals({ raw, role }: Verified<Targets>): Withdrawals {
  if (role.targets.size > 0 || role.delegations.size > 0 || role.succinct) {
    throw new ManifestError(
      'revoker-exceeds',
      'a revoker takes back; it lists no files and delegates nothing',
    );
  }
  const entries = Object.entries(object(raw['withdrawals'], 'withdrawals'));
  if (entries.length > LIMITS.secretsPerNamespace) {
    throw new ManifestError('revoker-exceeds', 'withdrawals: more than a namespace has secrets');
  }
  return new Map(entries.map(([name, value]) => [parseSecretName(name), readWithdrawal(value, name)]));
}

function readWithdrawal(value: Json, name: string): Withdrawal {
  const where = `withdrawals.${name}`;
  const raw = object(value, where);
  const revokedThrough = integer(raw['revokedThrough'], `${where}.revokedThrough`);
  const revoked = array(raw['revoked'], `${where}.revoked`, LIMITS.revokedNumbers).map((number) =>
    integer(number, `${where}.revoked`, revokedThrough + 1),
  );
  const grants = Object.entries(object(raw['grants'], `${where}.grants`));
  const isAscending = revoked.every((number, i) => i === 0 || number > (revoked[i - 1] ?? 0));
  if (!isAscending || grants.length > LIMITS.grantsPerSecret) {
    throw new ManifestError('revoker-exceeds', `${where}: not ascending, or too many grants`);
  }
  return {
    revokedThrough,
    revoked,
    grants: new Map(
      grants.map(([workload, through]) => [
        parseWorkload(workload),
        integer(through, `${where}.grants.${workload}`, 1),
      ]),
    ),
  };
}

/** @throws ManifestError floor-sank */
export function checkWithdrawalSuccession(old: Withdrawals, next: Withdrawals): void {
  for (const [name, before] of old) {
    const after = next.get(name) ?? NOTHING_WITHDRAWN;
    const keepsGrants = [...before.grants].every(([who, through]) => (after.grants.get(who) ?? 0) >= through);
    if (!keepsGrants || !covers(after, before)) {
      throw new ManifestError('floor-sank', `${name}: what the revoker took back must stay taken back`);
    }
  }
}

/** The secret as it is after something was taken back: fewer versions, fewer readers, never more. */
export function withdrawnFrom(secret: Secret, withdrawal: Withdrawal | undefined): Secret {
  if (!withdrawal) return secret;
  const { newest, ...rest } = secret;
  const floor = joinFloors(secret, withdrawal);
  return {
    ...rest,
    ...floor,
    ...(newest && !isRevoked(floor, newest.version) ? { newest } : {}),
    superseded: secret.superseded.filter(({ version }) => !isRevoked(floor, version)),
    withheld: joinGrants(secret.withheld, withdrawal.grants),
  };
}

/** Whatever one of two takes back. */
export function joinWithdrawals(a: Withdrawal, b: Withdrawal): Withdrawal {
  return { ...joinFloors(a, b), grants: joinGrants(a.grants, b.grants) };
}

function joinGrants(
  a: ReadonlyMap<Workload, number>,
  b: ReadonlyMap<Workload, number>,
): ReadonlyMap<Workload, number> {
  const joined = new Map(a);
  for (const [workload, through] of b) joined.set(workload, Math.max(joined.get(workload) ?? 0, through));
  return joined;
}

/** The `withdrawals` member with a secret's floor raised. */
export function withdrawThrough(withdrawals: JsonObject, name: SecretName, through: number): JsonObject {
  return edit(withdrawals, name, (old) => ({ ...old, ...raiseFloor(old, through) }));
}

/** The `withdrawals` member with one version taken back alone. */
export function withdrawVersion(withdrawals: JsonObject, name: SecretName, version: number): JsonObject {
  return edit(withdrawals, name, (old) =>
    isRevoked(old, version) ? old : { ...old, revoked: [...old.revoked, version].sort((a, b) => a - b) },
  );
}

/** The `withdrawals` member with a workload's access taken back, up to a version. */
export function withdrawGrant(
  withdrawals: JsonObject,
  name: SecretName,
  workload: Workload,
  through: number,
): JsonObject {
  return edit(withdrawals, name, (old) => ({
    ...old,
    grants: joinGrants(old.grants, new Map([[workload, through]])),
  }));
}

function edit(
  withdrawals: JsonObject,
  name: SecretName,
  change: (old: Withdrawal) => Withdrawal,
): JsonObject {
  // A secret may be called `constructor`, which every object has from its prototype.
  const raw = Object.hasOwn(withdrawals, name) ? withdrawals[name] : undefined;
  const old = raw === undefined ? NOTHING_WITHDRAWN : readWithdrawal(raw, name);
  const kept = raw === undefined ? {} : object(raw, name);
  return { ...withdrawals, [name]: { ...kept, ...withdrawalJson(change(old)) } };
}

export function withdrawalJson({ revokedThrough, revoked, grants }: Withdrawal): JsonObject {
  return { revokedThrough, revoked, grants: Object.fromEntries(grants) };
}

/** Of a withdrawal that was kept as JSON. @throws ManifestError */
export function parseWithdrawal(value: Json | undefined, name: string): Withdrawal {
  return readWithdrawal(object(value, name), name);
}
