// The one place that turns a denial into what a reader sees (docs/spec.md, "What a reader sees"). Never EIO.
import { ERRNO } from '../../fuse/errno.ts';
import type { Errno } from '../../fuse/tree.ts';
import type { Denial } from '../access.ts';

/** What a name's denial hides: that there is something to be had at all. */
const HIDDEN: ReadonlySet<Denial> = new Set<Denial>(['foreign-view', 'no-such-file', 'revoked']);

/** `name`: the caller looks for it. `file`: it was reached before, and denying that it exists would be a lie. */
export function toErrno(denial: Denial, stage: 'name' | 'file'): Errno {
  return stage === 'name' && HIDDEN.has(denial) ? ERRNO.ENOENT : ERRNO.EACCES;
}
