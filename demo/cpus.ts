// One machine plays two parts: the host (lapsed, and by its own doing the reader in the container) gets the last
// CPU, the operator and the service the others, as if they were elsewhere. So a reader that never rests does not
// slow the operator down, and a request to the file system needs no other CPU to wake up.
import { readFileSync } from 'node:fs';

/** In the form of taskset's --cpu-list. */
export interface Cpus {
  readonly host: string;
  readonly others: string;
}

/** With one CPU, both are it. */
export function splitCpus(): Cpus {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const cpus = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
  });
  const host = cpus.at(-1) ?? '0';
  return { host, others: cpus.length > 1 ? cpus.slice(0, -1).join(',') : host };
}

/** For a fleet: it has no CPU that is a host's, or everybody else's. */
export function undividedCpus(): Cpus {
  const { host, others } = splitCpus();
  const all = host === others ? host : `${others},${host}`;
  return { host: all, others: all };
}

/** Runs a command on these CPUs. */
export function on(cpus: string, command: readonly string[]): [string, ...string[]] {
  return ['taskset', '--cpu-list', cpus, ...command];
}
