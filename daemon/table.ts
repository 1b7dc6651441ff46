// What is shown where: the views of all workloads, as the main thread lays them out and the serving thread serves
// them. Plain data without a secret in it, sent whole; slots refer to the vault.
import type { FileName, TargetPath, Workload } from '../manifest/names.ts';
import type { WhenStale } from '../manifest/realm/policy.ts';
import type { Cgroup } from './identity/cgroup.ts';
import type { Place } from './leases.ts';

export interface ServedFile {
  readonly node: number;
  readonly view: Workload;
  readonly file: FileName;
  /** The version: `payments/db-password@3`. */
  readonly path: TargetPath;
  readonly version: number;
  /** When a superseded version's overlap ends; milliseconds since the epoch. */
  readonly expires?: number;
  /** False for a superseded version, which only descriptors opened before still reach. */
  readonly named: boolean;
  /** The namespace's lease, and what becomes of the file when that is over. */
  readonly lease: Place;
  readonly whenStale: WhenStale;
  readonly slot: number;
  /** Which occupant of the slot it is: another one's bytes are never read. */
  readonly generation: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

export interface View {
  readonly node: number;
  readonly workload: Workload;
}

export interface Table {
  readonly views: readonly View[];
  readonly files: readonly ServedFile[];
  readonly groups: ReadonlyMap<Cgroup, Workload>;
}

/** A table on its way to the serving thread. */
export interface Shown extends Table {
  /** False until all of the first verified realm was looked at: what is not there yet may still come. */
  readonly settled: boolean;
  /** Nodes whose names appear only when the server makes them, so that watchers hear of it. */
  readonly arriving: ReadonlySet<number>;
  /** Names that are gone, and that the server alone still finds, to take them away before watchers. */
  readonly departing: readonly ServedFile[];
}

export const EMPTY_TABLE: Table = { views: [], files: [], groups: new Map() };

export const NOTHING_YET: Shown = { ...EMPTY_TABLE, settled: false, arriving: new Set(), departing: [] };
