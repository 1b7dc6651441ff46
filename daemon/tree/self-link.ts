// `self`: a symbolic link to the caller's own view, like /proc/self; `volume` to the same in the style of Kubernetes. They
// differ by caller, so the kernel may not cache them (fuse/ never negotiates cached links), and for a caller without a
// view they are not there.
import type { Attributes, Errno } from '../../fuse/tree.ts';
import { SERVER } from '../access.ts';
import type { Who } from '../access.ts';
import { NODE } from '../node-id.ts';
import { ABSENT, linkAttributes } from './node.ts';
import type { TreeNode } from './node.ts';

export interface LinkNode extends TreeNode {
  target(who: Who): string | Errno;
}

function callersOwn(node: number, directory: string): LinkNode {
  const link: LinkNode = {
    attributes(who): Attributes | Errno {
      const target = link.target(who);
      return typeof target === 'number' ? target : linkAttributes(node, target);
    },

    target: (who) => (who === undefined || who === SERVER ? ABSENT : `${directory}/${who}`),
  };
  return link;
}

export const selfLink = callersOwn(NODE.self, 'w');
export const volumeLink = callersOwn(NODE.volume, 'v');
