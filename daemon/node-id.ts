// Inode numbers: deterministic, so that a daemon that takes over serves the same ones, and one per (view, secret,
// version), so that an old version's descriptor and mapping stay exactly what they were. 52 bits of SHA-256 keep
// them safe integers; a collision (about 1 in 10^6 among 100,000 files) is left out where tables are laid out.
import { createHash } from 'node:crypto';
import type { TargetPath, Workload } from '../manifest/names.ts';

export const NODE = { root: 1, views: 2, self: 3 } as const;

export function viewNode(workload: Workload): number {
  return hash('view', workload);
}

export function fileNode(workload: Workload, path: TargetPath): number {
  return hash('file', workload, path);
}

/** At least 16: smaller ones are the fixed nodes. */
function hash(...parts: readonly string[]): number {
  const digest = createHash('sha256')
    .update(['lapse-node', ...parts].join('\0'))
    .digest();
  const node = digest.readUInt32BE(0) * 2 ** 20 + (digest.readUInt32BE(4) >>> 12);
  return Math.max(node, 16);
}
