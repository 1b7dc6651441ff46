// What runs on this machine, for a test that asks whether something of its own was left behind.
import { readFileSync, readdirSync } from 'node:fs';

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
