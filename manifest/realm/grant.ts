// A grant: which workload may read a secret, as which file, owned by whom, with which mode. A selector may gain
// other members later; one that this version does not know matches nobody, and `unknown` says so.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseFileName, parseWorkload } from '../names.ts';
import type { FileName, Workload } from '../names.ts';
import { array, integer, object, string } from '../shape.ts';

export interface Grant {
  readonly workload: Workload;
  readonly file: FileName;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits; only reading can be granted. */
  readonly mode: number;
}

const MOST_ID = 2 ** 32 - 2;

/** Grants that this version understands; the others grant nothing. */
export function parseGrants(value: Json | undefined, where: string): readonly Grant[] {
  const grants = array(value, where, LIMITS.grantsPerSecret).flatMap((element) => {
    const grant = parseGrant(object(element, where), where);
    return grant ? [grant] : [];
  });
  if (new Set(grants.map((grant) => grant.workload)).size !== grants.length) {
    throw new ManifestError('grant-malformed', `${where}: a workload has two grants`);
  }
  return grants;
}

function parseGrant(raw: JsonObject, where: string): Grant | undefined {
  const selector = object(raw['selector'], `${where}.selector`);
  if (Object.keys(selector).join() !== 'workload') return undefined;
  return {
    workload: parseWorkload(string(selector['workload'], `${where}.selector.workload`)),
    file: parseFileName(string(raw['file'], `${where}.file`)),
    uid: integer(raw['uid'], `${where}.uid`, 0, MOST_ID),
    gid: integer(raw['gid'], `${where}.gid`, 0, MOST_ID),
    mode: parseMode(string(raw['mode'], `${where}.mode`)),
  };
}

/** `0440` and the like: three octal digits behind a zero, reading only. */
export function parseMode(text: string): number {
  if (!/^0[04]{3}$/.test(text)) {
    throw new ManifestError(
      'grant-malformed',
      'a mode is 0400, 0440, 0444 or the like: files here are only read',
    );
  }
  return parseInt(text, 8);
}

export function grantJson(grant: Grant): JsonObject {
  const { workload, file, uid, gid, mode } = grant;
  return { selector: { workload }, file, uid, gid, mode: `0${mode.toString(8).padStart(3, '0')}` };
}
