// What a drill publishes in its namespace: the next canary with the order beside it, what takes that canary away, and the end
// of the order. The same edits as of `lapse secret put`, `rotate`, `revoke` and `grant`, on one secret that nobody needs.
import type { JsonObject } from '../../../manifest/json.ts';
import type { Workload } from '../../../manifest/names.ts';
import { parseFileName } from '../../../manifest/names.ts';
import { catchUp, revokeThrough, setGrants } from '../../../manifest/realm/change.ts';
import { CANARY, DRILL, orderJson, readOrder } from '../../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../../manifest/realm/drill/order.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import { addVersions } from '../new-version.ts';
import { counted } from '../output.ts';
import { secretOf, secretsOf, targetsOf } from '../session.ts';
import type { Edit, Session } from '../session.ts';
import type { Stopwatch } from '../stopwatch.ts';

/** Canaries belong to root, as probes do. */
const ROOT_ONLY = { uid: 0, gid: 0, mode: 0o400 };

/** The order that stands, whoever gave it; none, when its time is over. `now` in milliseconds since the epoch. */
export function standingOrder({ set }: RealmState, now: number): DrillOrder | undefined {
  const role = currentRole(set, DRILL);
  const order = role && readOrder(role);
  return order && order.until > now ? order : undefined;
}

/** For people, who may have given it. */
export function orderText({ id, kind, hosts, until }: DrillOrder): string {
  const where = hosts.length === 1 ? (hosts[0] ?? '') : counted(hosts.length, 'host');
  return `a ${kind} drill on ${where} (${id.slice(0, 12)}) stands until ${formatInstant(until)}`;
}

export function drillRunning(order: DrillOrder): ClientError {
  const advice = 'wait for it, or end it: lapse drill end';
  return new ClientError('drill-running', `${orderText(order)}; ${advice}`);
}

/** The next version of the canary, for one workload, and the order. `value` is the caller's, who zeroes it. */
export async function canaryEdit(
  session: Session,
  state: RealmState,
  watch: Stopwatch,
  order: DrillOrder,
  value: Uint8Array,
): Promise<{ readonly edit: Edit; readonly version: number }> {
  const grant = { workload: order.workload, file: parseFileName(CANARY), ...ROOT_ONLY };
  const terms = { grants: [grant], overlapSeconds: 0, whenStale: 'deny' as const };
  const { edit, made } = await addVersions(session, state, watch, DRILL, [{ name: CANARY, value, terms }]);
  const roles = edit.roles.map(({ role, change }) => ({
    role,
    change: { ...change, drill: orderJson(order) },
  }));
  return { edit: { roles, files: edit.files }, version: made[0]?.version ?? 0 };
}

/** Takes back every version. */
export function revokeEdit(state: RealmState, now: number): Edit {
  return targetsEdit(state, now, (targets, canary) =>
    revokeThrough(targets, canary, canary.newestVersion, now),
  );
}

/** Takes back one workload's access, and leaves the canary as it is. */
export function withdrawEdit(state: RealmState, workload: Workload, now: number): Edit {
  return targetsEdit(state, now, (targets, canary) =>
    setGrants(
      targets,
      canary,
      canary.grants.filter((grant) => grant.workload !== workload),
    ),
  );
}

/** No order stands any more, and nothing is left to read. */
export function endEdit(state: RealmState, now: number): Edit {
  const secrets = secretsOf(state, DRILL);
  const canary = secrets.get(CANARY);
  const caught = catchUp(targetsOf(state, DRILL), secrets.values(), now);
  const targets = canary && setGrants(revokeThrough(caught, canary, canary.newestVersion, now), canary, []);
  return { roles: [{ role: DRILL, change: { drill: null, ...(targets && { targets }) } }], files: [] };
}

function targetsEdit(
  state: RealmState,
  now: number,
  change: (targets: JsonObject, canary: Secret) => JsonObject,
): Edit {
  const secrets = secretsOf(state, DRILL);
  const canary = secretOf(secrets, DRILL, CANARY);
  const caught = catchUp(targetsOf(state, DRILL), secrets.values(), now);
  return { roles: [{ role: DRILL, change: { targets: change(caught, canary) } }], files: [] };
}
