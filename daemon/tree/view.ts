// A view: the directory that one workload sees, a file for each secret that it is granted. Names stay when the
// lease is over; what is gone from here was never granted or has been revoked.
import { enter } from '../access.ts';
import type { Workload } from '../../manifest/names.ts';
import { toErrno } from './errno.ts';
import { ABSENT, directoryAttributes } from './node.ts';
import type { DirectoryNode } from './node.ts';
import { fileAttributes } from './secret-file.ts';
import type { ServedFile } from '../table.ts';

export interface ViewNode extends DirectoryNode {
  readonly node: number;
  readonly workload: Workload;
}

export function viewNode(node: number, workload: Workload, files: readonly ServedFile[]): ViewNode {
  const byName = new Map<string, ServedFile>(files.map((file) => [file.file, file]));
  return {
    node,
    workload,

    attributes(who) {
      const denial = enter(who, workload);
      return denial ? toErrno(denial, 'name') : directoryAttributes(node);
    },

    lookup(name, who) {
      const denial = enter(who, workload);
      if (denial) return toErrno(denial, 'name');
      const file = byName.get(name);
      return file ? fileAttributes(file) : ABSENT;
    },

    entries(who) {
      const denial = enter(who, workload);
      if (denial) return toErrno(denial, 'file');
      return files.map((file) => ({ node: file.node, name: file.file, kind: 'file' }));
    },
  };
}
