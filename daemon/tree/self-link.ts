// `self`: a symbolic link to the caller's own view, like /proc/self. It differs by caller, so the kernel may not
// cache it (fuse/ never negotiates cached links), and for a caller without a view it is not there.
import type { Attributes, Errno } from '../../fuse/tree.ts';
import { NODE } from '../node-id.ts';
import { ABSENT } from './node.ts';
import type { TreeNode, Who } from './node.ts';

export const selfLink: TreeNode & { target(who: Who): string | Errno } = {
  attributes(who): Attributes | Errno {
    const target = selfLink.target(who);
    if (typeof target === 'number') return target;
    return { node: NODE.self, kind: 'symlink', size: target.length, mode: 0o777, uid: 0, gid: 0, mtime: 0 };
  },

  target: (who) => (who === undefined ? ABSENT : `w/${who}`),
};
