// Inode numbers: deterministic, so that a daemon that takes over serves the same ones, and one per (view, secret,
// version), so that an old version's descriptor and mapping stay exactly what they were. 52 bits of SHA-256 keep
// them safe integers; a collision (about 1 in 10^6 among 100,000 files) is left out where tables are laid out, or where a volume is built.
import { createHash } from 'node:crypto';
import type { FileName, TargetPath, Workload } from '../manifest/names.ts';

export const NODE = { root: 1, views: 2, self: 3, volumes: 4, volume: 5 } as const;

export function viewNode(workload: Workload): number {
  return hash('view', workload);
}

export function fileNode(workload: Workload, path: TargetPath): number {
  return hash('file', workload, path);
}

/** The directory of a workload's volume (tree/volume.ts). */
export function volumeNode(workload: Workload): number {
  return hash('volume', workload);
}

export function generationNode(workload: Workload, generation: string): number {
  return hash('generation', workload, generation);
}

/** `..data`: one for all generations, since what it leads to is asked each time. */
export function dataNode(workload: Workload): number {
  return hash('data', workload);
}

/** `..data_tmp`: not the same as `..data`, or the kernel would take renaming one to the other for no change. */
export function dataTmpNode(workload: Workload): number {
  return hash('data-tmp', workload);
}

/** A file's link in a volume; it stays while versions go. */
export function nameNode(workload: Workload, file: FileName): number {
  return hash('name', workload, file);
}

/** At least 16: smaller ones are the fixed nodes. */
function hash(...parts: readonly string[]): number {
  const digest = createHash('sha256')
    .update(['lapse-node', ...parts].join('\0'))
    .digest();
  const node = digest.readUInt32BE(0) * 2 ** 20 + (digest.readUInt32BE(4) >>> 12);
  return Math.max(node, 16);
}
