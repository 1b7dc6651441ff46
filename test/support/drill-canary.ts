// A canary that is a plain file in memory, and probes that read it: nothing takes back what is held of it, which is the
// control of every count. Disposing of it ends its probes and removes everything.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../client/clock.ts';
import { ProbeGroup } from '../../daemon/drill/probe-group.ts';
import { Probe } from '../../daemon/drill/probe.ts';
import type { ProbeOrder } from '../../daemon/drill/probe.ts';

export const PROBE_PROGRAM = fileURLToPath(new URL('../../out/bin/probe', import.meta.url));
const clock = systemClock();

export const now = (): bigint => process.hrtime.bigint();
export const inSeconds = (seconds: number): bigint => now() + BigInt(seconds) * 1_000_000_000n;
export const patience = (): AbortSignal => AbortSignal.timeout(20_000);

/** Processes that have this word on their command line. */
export function processesWith(word: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(word))
    .map(Number);
}

/** Its words; none when it is gone. */
function commandOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

export class Canary implements AsyncDisposable {
  readonly directory = mkdtempSync('/dev/shm/lapse-canary-');
  readonly path = join(this.directory, 'view', 'canary');
  /** Of the probe. */
  readonly run = join(this.directory, 'run');
  readonly #stack = new AsyncDisposableStack();

  /** Puts another file in its place. */
  put(value: string): void {
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(`${this.path}.new`, value);
    renameSync(`${this.path}.new`, this.path);
  }

  /** The name is gone; who holds the file reads on. */
  remove(): void {
    unlinkSync(this.path);
  }

  async probe(order: Partial<ProbeOrder> = {}): Promise<Probe> {
    const usual = { program: PROBE_PROGRAM, path: this.path, directory: this.run, untilNs: inSeconds(60) };
    const probe = await Probe.start({ ...usual, ...order, place: order.place ?? ProbeGroup.make() }, clock);
    this.#stack.defer(() => probe.stop());
    return probe;
  }

  async adopt(): Promise<Probe | undefined> {
    const probe = await Probe.adopt(this.run, clock);
    if (probe) this.#stack.defer(() => probe.stop());
    return probe;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    rmSync(this.directory, { recursive: true });
  }
}
