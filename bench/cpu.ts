// Where and how what is measured runs: on the CPUs it is told, and before whatever else wants them, or the figures tell
// of the neighbours.
import { on, splitCpus, undividedCpus } from '../demo/cpus.ts';

/** In the form of taskset's --cpu-list. */
export const ONE_CPU = splitCpus().host;
export const ALL_CPUS = undividedCpus().host;

export function ahead(cpus: string, command: readonly string[]): [string, ...string[]] {
  return ['nice', '-n', '-20', ...on(cpus, command)];
}
