// Lists directories with getdents, a page at a time.
import type { Probe } from '../../support/fuse-posix-probe.ts';

export interface Listed {
  /** Where the listing goes on behind it. */
  readonly offset: string;
  readonly inode: string;
  readonly type: number;
  readonly name: string;
}

/** One page; empty at the end. */
export async function page(probe: Probe, descriptor: number, bytes: number): Promise<Listed[]> {
  const answer = await probe.ask('getdents', descriptor, bytes);
  if (/^E[A-Z]+$/.test(answer)) throw new Error(`getdents: ${answer}`);
  return answer === ''
    ? []
    : answer.split('\t').map((entry) => {
        const [offset, inode, type, ...name] = entry.split('/');
        return { offset: offset!, inode: inode!, type: Number(type), name: name.join('/') };
      });
}

export async function rest(probe: Probe, descriptor: number, bytes: number): Promise<Listed[]> {
  const all: Listed[] = [];
  for (
    let some = await page(probe, descriptor, bytes);
    some.length > 0;
    some = await page(probe, descriptor, bytes)
  )
    all.push(...some);
  return all;
}

/** Everything in a directory. */
export async function entriesOf(probe: Probe, path: string, bytes = 32_768): Promise<Listed[]> {
  const descriptor = await probe.opened(path);
  const all = await rest(probe, descriptor, bytes);
  await probe.sys('close', descriptor);
  return all;
}

export const namesOf = (entries: readonly Listed[]): string[] => entries.map(({ name }) => name).sort();
