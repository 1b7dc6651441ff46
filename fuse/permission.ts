// A stand-in until the real rule is here.
import type { Attributes, Caller } from './tree.ts';

export function permits(attributes: Attributes, caller: Caller, mask: number): boolean {
  const shift = caller.uid === attributes.uid ? 6 : caller.gid === attributes.gid ? 3 : 0;
  return caller.uid === 0 || ((attributes.mode >> shift) & mask) === mask;
}
