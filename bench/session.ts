// Puts this session's processes before those of others for as long as a bench lasts, or its figures tell of the neighbours.
// Where the kernel groups processes by session (sched_autogroup), their nice values count among themselves only.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const AUTOGROUP = '/proc/self/autogroup';
const AHEAD = '-20';

/** The same for the session of another process, which has one of its own; until that ends. */
export function putAhead(pid: number): void {
  const group = `/proc/${pid}/autogroup`;
  if (existsSync(group)) writeFileSync(group, AHEAD);
}

/** Until it is disposed of. Where there are no such groups, nothing happens. */
export function sessionAhead(): Disposable {
  const before = /nice (-?\d+)/.exec(text())?.[1];
  if (before === undefined) return { [Symbol.dispose]: () => undefined };
  writeFileSync(AUTOGROUP, AHEAD);
  return { [Symbol.dispose]: () => writeFileSync(AUTOGROUP, before) };
}

function text(): string {
  try {
    return readFileSync(AUTOGROUP, 'latin1');
  } catch {
    return '';
  }
}
