// The root of the file system: `self`, the caller's own view, and `w`, where the views are.
import { NODE } from '../node-id.ts';
import { ABSENT, directoryAttributes, entryOf, isErrno } from './node.ts';
import type { DirectoryNode } from './node.ts';
import { selfLink } from './self-link.ts';

export const root: DirectoryNode = {
  attributes: () => directoryAttributes(NODE.root),

  lookup(name, who) {
    if (name === 'self') return selfLink.attributes(who);
    return name === 'w' ? directoryAttributes(NODE.views) : ABSENT;
  },

  entries(who) {
    const self = selfLink.attributes(who);
    return [...(isErrno(self) ? [] : [entryOf(self, 'self')]), entryOf(directoryAttributes(NODE.views), 'w')];
  },
};
