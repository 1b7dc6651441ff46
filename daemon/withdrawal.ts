// The difference between two tables, told to the kernel: pages of files that nobody may reach any more, attributes that
// changed, names that are gone, names that lead elsewhere.
import type { TargetPath } from '../manifest/names.ts';
import type { Invalidator } from './server.ts';
import type { ServedFile, Table } from './table.ts';
import { nameOf } from './watchers.ts';

/** Versions whose slots are dead: whoever asks for them is refused already, whatever table is served. */
export type Dead = ReadonlySet<TargetPath>;

const NOTHING: Dead = new Set();

/**
 * Resolves when the kernel has forgotten every page of what is dead. That needs no new table: a page that is being read is
 * locked until the answer, and what asks later gets nothing that could be cached again.
 */
export async function withdrawDead(invalidator: Invalidator, old: Table, dead: Dead): Promise<void> {
  const gone = dead.size === 0 ? [] : reachableFiles(old).filter(({ path }) => dead.has(path));
  await Promise.all(gone.map(({ node }) => invalidator.pages(node)));
}

/** Resolves when the kernel has forgotten everything that `next` no longer has, but for the pages of what is dead. */
export async function withdraw(
  invalidator: Invalidator,
  old: Table,
  next: Table,
  dead: Dead = NOTHING,
): Promise<void> {
  const reachable = new Map(reachableFiles(next).map((file) => [file.node, file]));
  const names = new Map(next.files.filter((file) => file.named).map((file) => [nameOf(file), file.node]));
  const views = new Map(old.views.map((view) => [view.workload, view.node]));
  const gone = reachableFiles(old).filter(
    (file) => !dead.has(file.path) && !sameAttributes(file, reachable.get(file.node)),
  );
  const moved = old.files.filter((file) => file.named && names.get(nameOf(file)) !== file.node);
  await Promise.all([
    ...gone.map((file) => invalidator.pages(file.node)),
    ...moved.map((file) => {
      const view = views.get(file.view) ?? 0;
      return names.has(nameOf(file))
        ? invalidator.name(view, file.file)
        : invalidator.removed(view, file.node, file.file);
    }),
  ]);
}

/** Files in the view of a workload that is registered. */
function reachableFiles(table: Table): readonly ServedFile[] {
  const present = new Set(table.groups.values());
  return table.files.filter((file) => present.has(file.view));
}

function sameAttributes(old: ServedFile, next: ServedFile | undefined): boolean {
  return (
    next !== undefined &&
    (['size', 'uid', 'gid', 'mode', 'mtime'] as const).every((field) => old[field] === next[field])
  );
}
