// What befalls a host: the server is killed or stopped, hands over to its next self, the service is restarted. One at a
// time. A server that was killed or stopped may refuse until the next one has news; the others no reader may notice.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Status } from '../../test/support/lapsed.ts';
import { now } from './certainty.ts';
import type { Changes } from './changes.ts';
import type { Stalls } from './stalls.ts';
import type { Watch } from './watch.ts';
import type { World } from './world.ts';

const AWAY_MS = 1500;
/** So long before it is replaced a server may have been dead for its readers. */
const DYING_NS = 3e9;

export interface DisturbancesParts {
  readonly host: Host;
  readonly world: World;
  readonly watch: Watch;
  readonly changes: Changes;
  readonly stalls: Stalls;
  readonly complain: (violation: string) => void;
}

export class Disturbances {
  readonly counts = { kills: 0, stops: 0, handovers: 0, serviceRestarts: 0, unplanned: 0 };
  /** From a kill, or a stop, until everything was served again, in milliseconds. */
  readonly recoveriesMs: number[] = [];
  readonly #parts: DisturbancesParts;
  /** The server that was killed or stopped, and is not replaced yet. */
  #doomed: number | undefined;
  #recovering = Promise.resolve();

  constructor(parts: DisturbancesParts) {
    this.#parts = parts;
  }

  any(): Promise<void> {
    const choice = Math.random();
    if (choice < 0.35) return this.kill();
    if (choice < 0.5) return this.stop();
    return choice < 0.8 ? this.handOver() : this.restartService();
  }

  kill(): Promise<void> {
    this.counts.kills += 1;
    return this.#interrupt('SIGKILL');
  }

  /** The holder takes it for dead. */
  stop(): Promise<void> {
    this.counts.stops += 1;
    return this.#interrupt('SIGSTOP');
  }

  async handOver(): Promise<void> {
    const { host, watch, world } = this.#parts;
    const before = watch.pid;
    world.tell(now(), `handing over from ${before}`);
    host.lapsed.signal('SIGHUP');
    const at = await watch.until('the next server', (_, pid) => pid !== before);
    world.tell(at, `${watch.pid} serves`);
    this.counts.handovers += 1;
  }

  async restartService(): Promise<void> {
    const { host, changes, watch, world } = this.#parts;
    await changes.alone(async () => {
      world.tell(now(), 'the service is restarted');
      await host.stopService();
      // A stream that has not noticed yet would be taken for the one to the next service.
      await watch.until('a stream that is down', ({ stream }) => stream === 'down');
      await sleep(AWAY_MS * Math.random());
      await host.startService();
      const at = await watch.until('news from the service', ({ stream }) => stream === 'open');
      world.tell(at, 'the service is heard again');
    });
    this.counts.serviceRestarts += 1;
  }

  /**
   * The holder has replaced a server. Nobody asked for it, unless it was killed or stopped: then it is a violation, but for a
   * machine on which nothing ran in time.
   */
  resumed(pid: number): void {
    if (this.#doomed !== undefined) {
      this.#doomed = undefined;
      return;
    }
    const { world, stalls, complain } = this.#parts;
    const at = now();
    this.counts.unplanned += 1;
    world.tell(at, `${pid} takes the place of a server that nobody has harmed`);
    if (!stalls.near(at - DYING_NS, at)) complain('a server that nobody has harmed was replaced');
    this.#recovering = this.#recover(at - DYING_NS, 'an unplanned end', () => true).then(
      () => undefined,
      (error: unknown) => complain((error as Error).message),
    );
  }

  /** When nothing is left to wait for. */
  get quiet(): Promise<void> {
    return this.#recovering;
  }

  /** Everything is there that should be. */
  serves(what: string, by: (pid: number) => boolean): Promise<number> {
    const { watch, world } = this.#parts;
    const has = ({ files }: Status): boolean => {
      const versions = new Set(files.map(({ version }) => version));
      return world.expected(now()).every((path) => versions.has(path));
    };
    return watch.until(what, (status, pid) => by(pid) && has(status));
  }

  async #interrupt(signal: NodeJS.Signals): Promise<void> {
    const { world, watch } = this.#parts;
    const before = watch.pid;
    const began = now();
    if (before === 0) throw new Error(`no server to send ${signal} to`);
    world.tell(began, `${signal} to ${before}`);
    this.#doomed = before;
    process.kill(before, signal);
    const at = await this.#recover(began, signal, (pid) => pid !== before);
    this.recoveriesMs.push((at - began) / 1e6);
  }

  async #recover(began: number, what: string, by: (pid: number) => boolean): Promise<number> {
    const { world, watch } = this.#parts;
    const done = world.opens(began);
    world.serving.set('maybe', began);
    try {
      const at = await this.serves(`recovery from ${what}`, by);
      world.tell(at, `${watch.pid} serves everything`);
      world.serving.set('yes', at);
      return at;
    } finally {
      done();
    }
  }
}
