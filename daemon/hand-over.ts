// What a server tells the next one when it hands over: how far it has followed the realm. Both follow the service, each by
// itself, and the next one's news may be the later: what its predecessor took back must not come back with it. The one that
// ends owes that it shows nothing new any more; the one that begins, that it does not serve before it has caught up, and
// that it serves on no word but that of the one right before it: each server takes away what it finds.
import type { RealmState } from '../client/reading.ts';
import type { Updater } from '../client/updater.ts';
import { integer } from '../manifest/shape.ts';
import { DaemonError } from './errors.ts';
import type { StateFile } from './runtime/state-file.ts';

export class HandOver {
  readonly #file: StateFile;
  readonly #updater: Updater;

  constructor(file: StateFile, updater: Updater) {
    this.#file = file;
    this.#updater = updater;
  }

  /** @throws DaemonError runtime-unwritable */
  tell(): void {
    this.#file.write({ snapshot: this.#snapshot });
  }

  /** For one that begins after no other: what was said earlier, was said to another one. @throws DaemonError runtime-unwritable */
  forget(): void {
    this.#file.remove();
  }

  /**
   * `apply` is given what is learnt. As long as the service has no more either, it is asked again: the holder's limit ends
   * that. @throws DaemonError runtime-unreadable: also when the one before died without a word; runtime-unwritable; and
   * what the updater throws
   */
  async catchUp(apply: (state: RealmState) => Promise<void>): Promise<void> {
    const told = this.#file.read((members) => integer(members['snapshot'], 'snapshot'));
    if (told === undefined)
      throw new DaemonError('runtime-unreadable', 'the server before this one did not say how far it was');
    this.forget();
    while (this.#snapshot < told) {
      await this.#updater.refresh();
      await apply(this.#updater.state);
    }
  }

  /** Every change is a snapshot; a renewed timestamp is none. */
  get #snapshot(): number {
    return this.#updater.state.set.snapshot?.role.version ?? 0;
  }
}
