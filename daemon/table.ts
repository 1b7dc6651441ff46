// What is shown where: the views of all workloads, as the main thread lays them out and the serving thread serves
// them. Plain data without a secret in it, sent whole; slots refer to the vault.
import type { FileName, TargetPath, Workload } from '../manifest/names.ts';
import type { Cgroup } from './identity/cgroup.ts';

export interface ServedFile {
  readonly node: number;
  readonly view: Workload;
  readonly file: FileName;
  /** The version: `payments/db-password@3`. */
  readonly path: TargetPath;
  /** False for a superseded version, which only descriptors opened before still reach. */
  readonly named: boolean;
  readonly slot: number;
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

export const EMPTY_TABLE: Table = { views: [], files: [], groups: new Map() };
