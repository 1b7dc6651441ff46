// The root of the file system: `self` and `volume`, the caller's own view in its two styles, and `w` and `v`, where the
// views are. The kernel may keep the two directories, which are the same for everybody.
import type { Attributes, DirectoryEntry, Errno } from '../../fuse/tree.ts';
import type { Who } from '../access.ts';
import { NODE } from '../node-id.ts';
import { ABSENT, directoryAttributes, entryOf } from './node.ts';
import type { DirectoryNode } from './node.ts';
import { selfLink, volumeLink } from './self-link.ts';

const VIEWS: Attributes = { ...directoryAttributes(NODE.views), lasting: true };
const VOLUMES: Attributes = { ...directoryAttributes(NODE.volumes), lasting: true };

const DIRECTORIES: readonly DirectoryEntry[] = [entryOf(VIEWS, 'w'), entryOf(VOLUMES, 'v')];
const ALL: readonly DirectoryEntry[] = [
  { node: NODE.self, name: 'self', kind: 'symlink' },
  { node: NODE.volume, name: 'volume', kind: 'symlink' },
  ...DIRECTORIES,
];

export const root: DirectoryNode = {
  attributes: () => ({ ...directoryAttributes(NODE.root), lasting: true }),

  lookup(name: string, who: Who): Attributes | Errno {
    switch (name) {
      case 'self':
        return selfLink.attributes(who);
      case 'volume':
        return volumeLink.attributes(who);
      case 'w':
        return VIEWS;
      case 'v':
        return VOLUMES;
      default:
        return ABSENT;
    }
  },

  entries: (who) => (typeof who === 'string' ? ALL : DIRECTORIES),
};
