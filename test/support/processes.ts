// What runs on this machine, for a test that asks whether something of its own was left behind. Other tests run beside it: what
// is there one moment may be gone the next.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The command line of every process, its words parted by blanks. */
export function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // it has ended
      }
    });
}

/** The names of all control groups, with where they are below `directory`. */
export function controlGroups(directory = '/sys/fs/cgroup'): string[] {
  return entriesOf(directory)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(directory, name))
    .flatMap((group) => [group, ...controlGroups(group)]);
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // it has been removed
  }
}
