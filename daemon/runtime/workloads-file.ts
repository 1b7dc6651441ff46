// The registrations, so that the containers of this host need not register again when lapsed was restarted. Written
// before a registration is answered. What is read is only what still holds: a container whose first process has ended
// is left out, since another one may have got its control group's name. Damage is an error and never a shorter list;
// the caller begins with none then, says so, and every container is an unknown caller.
import type { JsonObject } from '../../manifest/json.ts';
import { ManifestError } from '../../manifest/errors.ts';
import { parseWorkload } from '../../manifest/names.ts';
import { array, integer, object, string } from '../../manifest/shape.ts';
import { isAlive } from '../identity/process.ts';
import type { ProcessIdentity } from '../identity/process.ts';
import { MOST_WORKLOADS } from '../identity/workloads.ts';
import type { RegisteredWorkload } from '../identity/workloads.ts';
import type { StateFile } from './state-file.ts';

/** @throws DaemonError runtime-unwritable */
export function writeWorkloads(file: StateFile, workloads: readonly RegisteredWorkload[]): void {
  file.write({
    workloads: workloads.map(({ id, workload, cgroup, init }) => ({
      ...{ id, workload, cgroup },
      ...(init && { init: { pid: init.pid, start: init.start } }),
    })),
  });
}

/** None when there is no file. @throws DaemonError runtime-unreadable */
export function readWorkloads(file: StateFile): readonly RegisteredWorkload[] {
  const known = file.read(parseWorkloads) ?? [];
  return known.filter(({ init }) => !init || isAlive(init));
}

function parseWorkloads(members: JsonObject): readonly RegisteredWorkload[] {
  const known = array(members['workloads'], 'workloads', MOST_WORKLOADS).map((entry, i) =>
    parseRegistration(object(entry, `workloads.${i}`), `workloads.${i}`),
  );
  for (const key of ['id', 'cgroup'] as const) {
    if (new Set(known.map((entry) => entry[key])).size !== known.length)
      throw new ManifestError('metadata-malformed', `workloads: a ${key} stands twice`);
  }
  return known;
}

function parseRegistration(raw: JsonObject, where: string): RegisteredWorkload {
  const init = raw['init'];
  return {
    id: matching(/^[^]{1,256}$/, raw['id'], `${where}.id`),
    workload: parseWorkload(string(raw['workload'], `${where}.workload`)),
    cgroup: matching(/^[^:]{0,64}:\/[^]{1,4096}$/, raw['cgroup'], `${where}.cgroup`),
    ...(init === undefined ? {} : { init: parseProcess(object(init, `${where}.init`), `${where}.init`) }),
  };
}

function parseProcess(raw: JsonObject, where: string): ProcessIdentity {
  return {
    pid: integer(raw['pid'], `${where}.pid`, 1),
    start: matching(/^\d{1,20}$/, raw['start'], `${where}.start`),
  };
}

function matching(pattern: RegExp, value: JsonObject[string] | undefined, where: string): string {
  const text = string(value, where);
  if (!pattern.test(text)) throw new ManifestError('metadata-malformed', `${where}: not of its form`);
  return text;
}
