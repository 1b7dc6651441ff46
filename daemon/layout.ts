// Lays out the views: from the verified realm, the versions that the vault has loaded, and the registered
// workloads, to the table that is served. Pure, and sorted, so that equal input gives an equal table.
import type { LapseError } from '../manifest/errors.ts';
import type { Namespace, TargetPath, Workload } from '../manifest/names.ts';
import { liveVersions } from '../manifest/realm/succession.ts';
import { readers } from '../manifest/realm/secret.ts';
import type { Secret } from '../manifest/realm/secret.ts';
import { DaemonError } from './errors.ts';
import type { RegisteredWorkload } from './identity/workloads.ts';
import type { Place } from './leases.ts';
import { fileNode, viewNode } from './node-id.ts';
import type { ServedFile, Table, View } from './table.ts';
import type { Loaded } from './vault/vault.ts';

export interface Held extends Loaded {
  /** When this host first had it; seconds since the epoch. */
  readonly since: number;
}

export interface Layout {
  readonly table: Table;
  /** Files that are not served because the rules contradict each other. */
  readonly problems: readonly LapseError[];
}

/** Where the lease of a namespace stands. */
export type PlaceOf = (namespace: Namespace) => Place;

/** `filling`: what is not held is still on its way, so no version bears the name of a newer one that lives. */
export function layOut(
  secrets: readonly Secret[],
  held: ReadonlyMap<TargetPath, Held>,
  workloads: readonly RegisteredWorkload[],
  placeOf: PlaceOf,
  filling = false,
): Layout {
  const problems: LapseError[] = [];
  const files = withoutConflicts(
    secrets.flatMap((secret) => filesOf(secret, held, placeOf(secret.namespace), filling)),
    problems,
  );
  const names = [
    ...new Set([...files.map((file) => file.view), ...workloads.map((entry) => entry.workload)]),
  ].sort();
  const views = names.map((workload) => ({ node: viewNode(workload), workload }));
  const groups = new Map(workloads.map((entry) => [entry.cgroup, entry.workload]));
  return { table: { views, files: withoutCollisions(files, views, problems), groups }, problems };
}

/** Files whose inode number another file or a view has too are left out, all of them. */
function withoutCollisions(
  files: readonly ServedFile[],
  views: readonly View[],
  problems: LapseError[],
): readonly ServedFile[] {
  const claims = new Map<number, number>();
  for (const { node } of [...files, ...views]) claims.set(node, (claims.get(node) ?? 0) + 1);
  const collided = files.filter(({ node }) => claims.get(node) !== 1);
  for (const { path } of collided) {
    problems.push(new DaemonError('node-collision', `${path} shares its inode number; it is not shown`));
  }
  return files.filter(({ node }) => claims.get(node) === 1);
}

/**
 * Every held live version in every view that is granted it; the newest held one bears the name. From a workload whose access
 * a revoker took back, versions are withheld one by one.
 */
function filesOf(
  secret: Secret,
  held: ReadonlyMap<TargetPath, Held>,
  lease: Place,
  filling: boolean,
): readonly ServedFile[] {
  const ends = new Map(secret.superseded.map(({ path, overlapEnd }) => [path, overlapEnd]));
  const newest = new Map<Workload, TargetPath>();
  const named = new Set<Workload>();
  return liveVersions(secret).flatMap(({ path, version }) =>
    readers(secret, version).flatMap(({ workload, file, uid, gid, mode }) => {
      if (!newest.has(workload)) newest.set(workload, path);
      const loaded = held.get(path);
      if (!loaded) return [];
      const isFirst = !named.has(workload);
      named.add(workload);
      const expires = ends.get(path);
      return [
        {
          node: fileNode(workload, path),
          view: workload,
          file,
          path,
          version,
          ...(expires === undefined ? {} : { expires }),
          named: isFirst && !(filling && path !== newest.get(workload)),
          lease,
          whenStale: secret.whenStale,
          slot: loaded.slot,
          generation: loaded.generation,
          size: loaded.size,
          uid,
          gid,
          mode,
          mtime: loaded.since,
        },
      ];
    }),
  );
}

/** Two secrets that claim one name in one view are both left out: guessing could show the wrong one. */
function withoutConflicts(files: readonly ServedFile[], problems: LapseError[]): readonly ServedFile[] {
  const owners = new Map<string, string>();
  const contested = new Set<string>();
  const place = (view: Workload, file: string): string => `${view}/${file}`;
  const secretOf = (path: string): string => path.slice(0, path.lastIndexOf('@'));
  for (const { view, file, path } of files) {
    const owner = owners.get(place(view, file)) ?? secretOf(path);
    owners.set(place(view, file), owner);
    if (owner !== secretOf(path)) contested.add(place(view, file));
  }
  for (const name of contested) {
    problems.push(new DaemonError('file-conflict', `two secrets claim the file ${name}; neither is shown`));
  }
  return files.filter(({ view, file }) => !contested.has(place(view, file)));
}
