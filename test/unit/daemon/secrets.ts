// Secrets as a verified realm would hold them, and tables made of them.
import { layOut } from '../../../daemon/layout.ts';
import type { Held } from '../../../daemon/layout.ts';
import type { Shown, Table } from '../../../daemon/table.ts';
import {
  parseFileName,
  parseNamespace,
  parseSecretName,
  parseWorkload,
  targetPath,
} from '../../../manifest/names.ts';
import type { TargetPath } from '../../../manifest/names.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { WhenStale } from '../../../manifest/realm/policy.ts';
import type { LiveVersion, Secret } from '../../../manifest/realm/secret.ts';

/** Of every namespace's lease in these tables. */
export const PLACE = 1;

export const PAYMENTS = parseNamespace('payments');
export const WEB = parseWorkload('web');
export const API = parseWorkload('api');

export const grant = (workload: string, file = 'db'): Grant => ({
  workload: parseWorkload(workload),
  file: parseFileName(file),
  uid: 1000,
  gid: 1001,
  mode: 0o440,
});

interface Shape {
  readonly name?: string;
  readonly newest?: number;
  /** Without a live newest version. */
  readonly tombstone?: boolean;
  readonly superseded?: readonly number[];
  readonly overlap?: { readonly seconds: number; readonly end: number };
  readonly grants?: readonly Grant[];
  readonly whenStale?: WhenStale;
  /** By workload: up to which version it was taken back. */
  readonly withheld?: Readonly<Record<string, number>>;
}

/** `payments/db@1`, granted to `web`, unless told otherwise. */
export function secret(shape: Shape = {}): Secret {
  const { newest = 1, tombstone = false, superseded = [], grants = [grant('web')] } = shape;
  const overlap = shape.overlap ?? { seconds: 300, end: Infinity };
  const name = parseSecretName(shape.name ?? 'db');
  const live = (version: number): LiveVersion => ({
    version,
    path: targetPath(PAYMENTS, name, version),
    length: 296,
    sha256: '0'.repeat(64),
    keys: [],
  });
  return {
    namespace: PAYMENTS,
    name,
    newestVersion: newest,
    ...(tombstone ? {} : { newest: live(newest) }),
    superseded: superseded.map((version) => ({
      ...live(version),
      overlapSeconds: overlap.seconds,
      overlapEnd: overlap.end,
    })),
    grants,
    overlapSeconds: 300,
    whenStale: shape.whenStale ?? 'deny',
    withheld: new Map(
      Object.entries(shape.withheld ?? {}).map(([who, through]) => [parseWorkload(who), through]),
    ),
    revokedThrough: tombstone ? newest : 0,
    revoked: [],
  };
}

/** What the vault holds: each path in the slot of its place in the list; size and time tell versions apart. */
export function held(...paths: readonly string[]): ReadonlyMap<TargetPath, Held> {
  return new Map(
    paths.map((path, slot) => {
      const version = Number(path.split('@')[1]);
      return [path as TargetPath, { slot, generation: 0, size: 9 + version, since: 999 + version }];
    }),
  );
}

export const registered = (...workloads: readonly string[]) =>
  workloads.map((workload) => ({
    id: `c-${workload}`,
    workload: parseWorkload(workload),
    cgroup: `:/${workload}`,
  }));

/** A table as the serving thread gets it, with nothing to announce. */
export const settled = (table: Table): Shown => ({
  ...table,
  settled: true,
  arriving: new Set(),
  departing: [],
});

/** The table of `secrets` with every live version held, for `web` and `api`. */
export function tableOf(...secrets: readonly Secret[]): Table {
  const paths = secrets.flatMap(({ newest, superseded }) =>
    [...(newest ? [newest] : []), ...superseded].map(({ path }) => path),
  );
  return layOut(secrets, held(...paths), registered('web', 'api'), () => PLACE).table;
}
