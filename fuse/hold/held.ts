/**
 * A server's end of the line to its holder (hold.sh): the device is descriptor 3, the way to the holder is descriptor 4,
 * and SIGUSR2 comes back. For the main thread, and before anything else: without the handler that signal kills. The server
 * owes a beat more often than the holder's limit, each after a barrier (`beatOnce`), and it must end in order when one
 * throws `holder-gone`: then nobody would start a next server, or withdraw, when this one dies.
 */
import { writeSync } from 'node:fs';
import { barrier } from '../barrier.ts';
import { FuseError } from '../errors.ts';

export const DEVICE = 3;
const HOLDER = 4;

/**
 * `fresh`: the device is not mounted yet. `resume`: an earlier server crashed. `next`: one still serves, and will yield
 * when this one is ready.
 */
const PHASES = ['fresh', 'resume', 'next'] as const;
export type Phase = (typeof PHASES)[number];

/** How a server ends, by its exit code; anything else is a crash, after which the holder starts another. */
export const EXIT = {
  /** In order: nothing is mounted any more. */
  ended: 0,
  /** It cannot go on, and another could not either: the holder withdraws and unmounts. */
  failed: 1,
  /** The next one serves now. */
  yielded: 75,
} as const;

export class Held {
  readonly phase: Phase;
  readonly #go = Promise.withResolvers<undefined>();
  readonly #yield = Promise.withResolvers<undefined>();

  /** @param phase the last argument that the holder gave */
  constructor(phase: string | undefined) {
    const known = PHASES.find((candidate) => candidate === phase);
    if (known === undefined) throw new FuseError('holder-gone', `not started by a holder: phase ${phase}`);
    this.phase = known;
    let waits = known === 'next';
    process.on('SIGUSR2', () => {
      (waits ? this.#go : this.#yield).resolve(undefined);
      waits = false;
    });
    if (!waits) this.#go.resolve(undefined);
  }

  /** Resolves when this server may serve: at once, but for `next`, which must not read the device before. */
  get go(): Promise<undefined> {
    return this.#go.promise;
  }

  /** Resolves when the next is ready: stop reading, finish what is in hand, leave the mount alone, say `yielded`. */
  get yield(): Promise<undefined> {
    return this.#yield.promise;
  }

  /** It serves; a `next` could serve at once. From now on the holder's short limit holds. */
  ready(): void {
    this.#say('ready');
  }

  /** The device is not read any more, nothing is in hand: the next goes now. Exit with `EXIT.yielded` after it. */
  yielded(): void {
    this.#say('yielded');
  }

  /** Only when both threads are known to live. Blocks when the holder has been stopped for thousands of beats. */
  beat(): void {
    this.#say('beat');
  }

  /** Beats when a request of our own was answered. The directory is the mount, best the one that nobody else enters. */
  async beatOnce(directory: string): Promise<void> {
    if (await barrier(directory)) this.beat();
  }

  #say(word: string): void {
    try {
      writeSync(HOLDER, `${process.pid} ${word}\n`);
    } catch (cause) {
      throw new FuseError('holder-gone', 'nobody holds this server', { cause });
    }
  }
}
