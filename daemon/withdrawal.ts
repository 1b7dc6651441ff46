// The difference between two tables, told to the kernel: pages of files that nobody may reach any more, attributes that
// changed, names that are gone, names that lead elsewhere.
import type { Invalidator } from './server.ts';
import type { ServedFile, Table } from './table.ts';
import { nameOf } from './watchers.ts';

/** Resolves when the kernel has forgotten everything that `next` no longer has. */
export async function withdraw(invalidator: Invalidator, old: Table, next: Table): Promise<void> {
  const reachable = new Map(reachableFiles(next).map((file) => [file.node, file]));
  const names = new Map(next.files.filter((file) => file.named).map((file) => [nameOf(file), file.node]));
  const views = new Map(old.views.map((view) => [view.workload, view.node]));
  const gone = reachableFiles(old).filter((file) => !sameAttributes(file, reachable.get(file.node)));
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
