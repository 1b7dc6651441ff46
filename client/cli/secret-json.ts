// A secret as `lapse --json` shows it: versions, floor and grants, never a value.
import type { JsonObject } from '../../manifest/json.ts';
import { grantJson } from '../../manifest/realm/grant.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';

export function secretJson(secret: Secret): JsonObject {
  return {
    secret: `${secret.namespace}/${secret.name}`,
    version: secret.newestVersion,
    live: liveVersions(secret).map((live) => live.version),
    revokedThrough: secret.revokedThrough,
    revoked: secret.revoked,
    overlapSeconds: secret.overlapSeconds,
    whenStale: secret.whenStale,
    grants: secret.grants.map(grantJson),
    withheld: Object.fromEntries(secret.withheld),
  };
}
