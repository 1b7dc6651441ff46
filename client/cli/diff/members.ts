// Members of signed metadata that this version does not know. Whoever signs them must hear of them, since nobody else will.
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { parseGrants } from '../../../manifest/realm/grant.ts';

type Member = Json | undefined;

const KNOWN = {
  role: ['_type', 'spec_version', 'version', 'expires', 'targets'],
  top: ['delegations', 'policies'],
  fleet: ['delegations', 'pools', 'removals', 'custodians'],
  revoker: ['withdrawals'],
  target: ['length', 'hashes', 'custom'],
  custom: ['version', 'grants', 'timing', 'revokedThrough', 'revoked', 'keys', 'reasons'],
  host: ['signing', 'encryption', 'pools', 'joined'],
  timing: ['overlap', 'whenStale'],
  pool: ['epoch', 'epochs'],
  policy: ['pools', 'custodians', 'lease', 'whenStale'],
} as const;

/** A line for each that differs. */
export function unknownLines(role: string, before: JsonObject, after: JsonObject): readonly string[] {
  const [isFleet, isHosts] = [role === 'fleet', role === 'fleet-hosts'];
  const top = [...KNOWN.role, ...ofRole(role)];
  const inCustom = isHosts ? KNOWN.host : KNOWN.custom;
  const paths = [
    ...differing(before, after, top),
    ...each(before['targets'], after['targets'], (path, old, next) => [
      ...differing(old, next, KNOWN.target).map((name) => `${path}.${name}`),
      ...differing(old['custom'], next['custom'], inCustom).map((name) => `${path}.custom.${name}`),
      ...(strangeGrants(old['custom']) === strangeGrants(next['custom']) ? [] : [`${path}.custom.grants`]),
      ...differing(member(old['custom'], 'timing'), member(next['custom'], 'timing'), KNOWN.timing).map(
        (name) => `${path}.custom.timing.${name}`,
      ),
    ]),
    ...each(isFleet ? before['pools'] : {}, isFleet ? after['pools'] : {}, (path, old, next) =>
      differing(old, next, KNOWN.pool).map((name) => `pools.${path}.${name}`),
    ),
    ...each(before['policies'], after['policies'], (path, old, next) =>
      differing(old, next, KNOWN.policy).map((name) => `policies.${path}.${name}`),
    ),
  ];
  return paths.map((path) => `${role}: ${path} changes, which this version of lapse does not understand`);
}

/** What only some roles have: anywhere else it means nothing here, and something to others. */
function ofRole(role: string): readonly string[] {
  if (role === 'targets') return KNOWN.top;
  if (role === 'fleet') return KNOWN.fleet;
  return role.endsWith('-revoker') ? KNOWN.revoker : [];
}

function each(
  before: Member,
  after: Member,
  look: (path: string, old: JsonObject, next: JsonObject) => readonly string[],
): readonly string[] {
  const old = objectOf(before);
  return Object.entries(objectOf(after)).flatMap(([path, next]) =>
    look(path, objectOf(old[path]), objectOf(next)),
  );
}

/** Grants that match nobody here, and may match somebody elsewhere. */
function strangeGrants(custom: Member): string {
  const grants = member(custom, 'grants');
  const list = Array.isArray(grants) ? (grants as readonly Json[]) : [];
  return JSON.stringify(list.filter((grant) => parseGrants([grant], 'grants').length === 0));
}

function differing(before: Member, after: Member, known: readonly string[]): readonly string[] {
  const [old, next] = [objectOf(before), objectOf(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(next)])].filter(
    (name) => !known.includes(name) && JSON.stringify(old[name]) !== JSON.stringify(next[name]),
  );
}

function member(value: Member, name: string): Member {
  return objectOf(value)[name];
}

function objectOf(value: Member): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
