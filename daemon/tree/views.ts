// `w`: the directory of views. Each caller finds its own there, and nobody else's.
import type { Workload } from '../../manifest/names.ts';
import { enter } from '../access.ts';
import { NODE } from '../node-id.ts';
import { toErrno } from './errno.ts';
import { ABSENT, directoryAttributes, entryOf } from './node.ts';
import type { DirectoryNode } from './node.ts';
import type { ViewNode } from './view.ts';

export function viewsNode(views: ReadonlyMap<Workload, ViewNode>): DirectoryNode {
  return {
    attributes: () => ({ ...directoryAttributes(NODE.views), lasting: true }),

    lookup(name, who) {
      const denial = enter(who, name as Workload);
      if (denial) return toErrno(denial, 'name');
      return views.get(name as Workload)?.attributes(who) ?? ABSENT;
    },

    entries(who) {
      const own = typeof who === 'string' ? views.get(who) : undefined;
      return own ? [entryOf(directoryAttributes(own.node), own.workload)] : [];
    },
  };
}
