// Asks lapsed ten times a second what it does, and keeps the moments at which changes took effect. A server that was
// replaced meanwhile has forgotten them: then its files tell, and a registration that changes nothing, which is answered
// when all before it is in effect.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Status } from '../../test/support/lapsed.ts';
import { now } from './certainty.ts';

const POLL_MS = 100;
const PID_MS = 50;
const PATIENCE_MS = 40_000;
/** How long a server's own word is waited for. */
const WORD_NS = 3e9;

export interface Snapshot {
  readonly pid: number;
  /** When it was asked. */
  readonly at: number;
  readonly status: Status;
}

export class Watch {
  readonly #host: Host;
  /** Resolves when everything is in effect that lapsed knew before. */
  readonly #settle: () => Promise<void>;
  readonly #moments = new Map<string, number>();
  readonly #stopped = new AbortController();
  readonly #polling: Promise<unknown>;
  #last: Snapshot | undefined;

  /** `resumed` is told of every server that took the place of one that died, or was taken for dead. */
  constructor(host: Host, settle: () => Promise<void>, resumed: (pid: number) => void) {
    this.#host = host;
    this.#settle = settle;
    this.#polling = Promise.all([this.#poll(), this.#follow(resumed)]);
  }

  /** The server's process id, or 0 when the holder has none; the holder's is the one of lapsed. */
  get pid(): number {
    try {
      return Number(readFileSync(join(dirname(this.#host.places.control), 'pid'), 'utf8'));
    } catch {
      return 0;
    }
  }

  /** False when the holder has ended: then there is nothing to be watched any more. */
  get lives(): boolean {
    return this.#host.lapsed.running;
  }

  get last(): Snapshot | undefined {
    return this.#last;
  }

  /**
   * When a version's change took effect, at `since` or later, or a moment soon after that. What the files tell counts
   * from `sure` on: a server that has just started may only not have it yet.
   */
  async effect(
    version: string,
    change: 'shown' | 'withdrawn',
    since: number,
    sure = since + WORD_NS,
  ): Promise<number> {
    const hasName = change === 'shown';
    const isSo = ({ files }: Status): boolean =>
      files.some((file) => file.version === version && isNamed(file)) === hasName &&
      (hasName || !files.some((file) => file.version === version));
    const word = (): number | undefined => {
      const moment = this.#moments.get(`${version} ${change}`);
      return moment !== undefined && moment >= since ? moment : undefined;
    };
    return this.#until(`${version} ${change}`, async () => {
      const said = word();
      if (said !== undefined) return said;
      return now() > sure ? this.settled(isSo, since) : undefined;
    });
  }

  /** When all of a status like this is in effect; undefined when it is not like this yet. */
  async settled(isSo: (status: Status) => boolean, since: number): Promise<number | undefined> {
    const { last } = this;
    if (!last || last.at < since || !last.status.lease.holds || !isSo(last.status)) return undefined;
    // One that still fills takes nothing back: names may lead to where the server before it let them lead.
    if (last.status.effects.length === 0) return undefined;
    try {
      await this.#settle();
    } catch {
      // It was ended in that moment.
      return undefined;
    }
    return this.pid === last.pid ? now() : undefined;
  }

  until(what: string, isSo: (status: Status, pid: number) => boolean): Promise<number> {
    const since = now();
    return this.#until(what, () => {
      const pid = this.#last?.pid ?? 0;
      return this.settled((status) => isSo(status, pid), since);
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#polling;
  }

  async #until(what: string, ask: () => Promise<number | undefined>): Promise<number> {
    const deadline = performance.now() + PATIENCE_MS;
    while (performance.now() < deadline && this.lives) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      await sleep(POLL_MS / 2);
    }
    throw new Error(this.lives ? `in ${PATIENCE_MS} ms there was no: ${what}` : 'lapsed has ended');
  }

  async #poll(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        const [pid, at] = [this.pid, now()];
        const status = await this.#host.status();
        if (pid === this.pid) this.#take({ pid, at, status });
      } catch {
        // Nobody serves in this moment.
      }
      await sleep(POLL_MS);
    }
  }

  async #follow(resumed: (pid: number) => void): Promise<void> {
    for (let before = this.pid; !this.#stopped.signal.aborted;) {
      const pid = this.pid || before;
      if (pid !== before && this.#host.lapsed.log.includes(`holder: resume: started ${pid}\n`)) resumed(pid);
      before = pid;
      await sleep(PID_MS);
    }
  }

  #take(snapshot: Snapshot): void {
    this.#last = snapshot;
    for (const { version, change, effectAt } of snapshot.status.effects)
      this.#moments.set(`${version} ${change}`, Number(effectAt));
  }
}

function isNamed(file: object): boolean {
  return 'named' in file && file.named === true;
}
