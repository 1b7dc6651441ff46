// What operators and container engines do all the time: rotate, revoke and put again, take grants back and give them, end
// containers and start them. Each change tells the world when it begins and when it is in effect. None begins while the
// service is away.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Publisher } from '../../test/support/lapsed-publisher.ts';
import { now } from './certainty.ts';
import type { Reader } from './readers.ts';
import type { Watch } from './watch.ts';
import { valueOf } from './world.ts';
import type { Secret, Version, Workload, World } from './world.ts';

const REGISTER_MS = 30_000;
/** After the end of an overlap. */
const LATE_NS = 3e9;

export interface ChangesParts {
  readonly world: World;
  readonly publisher: Publisher;
  readonly watch: Watch;
  readonly socket: string;
  readonly marker: string;
  /** Told of everything that did not happen in time. */
  readonly onFailure: (error: unknown) => void;
}

export class Changes {
  readonly counts = { rotations: 0, revocations: 0, regrants: 0, registrations: 0 };
  readonly #parts: ChangesParts;
  readonly #stopped = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** The publisher does one thing at a time, and a restart of the service is one of them. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ChangesParts) {
    this.#parts = parts;
  }

  /** Does something over and over, until `stop`. */
  repeat(pauseMs: number, work: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      while (!this.#stopped.signal.aborted && this.#parts.watch.lives) {
        await sleep(pauseMs * (0.5 + Math.random()));
        await work().catch(this.#parts.onFailure);
      }
    };
    this.#track(run());
  }

  /** Nothing is published meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async rotate(): Promise<void> {
    const secret = pick(
      this.#parts.world.secrets.filter(({ busy, exists }) => !busy && exists.last === 'yes'),
    );
    if (!secret) return;
    using _busy = occupy(secret);
    const before = secret.versions.get(secret.newest);
    await this.put(secret);
    this.counts.rotations += 1;
    if (before) this.#track(this.#expire(secret, before));
  }

  async revoke(): Promise<void> {
    const { world, publisher, watch } = this.#parts;
    const secret = pick(world.secrets.filter(({ busy, exists }) => !busy && exists.last === 'yes'));
    if (!secret) return;
    using _busy = occupy(secret);
    using known = new DisposableStack();
    const began = await this.alone(async () => {
      const at = now();
      known.defer(world.opens(at));
      world.revokeBegins(secret, at);
      await publisher.revoke([secret.name]);
      return at;
    });
    world.revoked(secret, await watch.effect(secret.pathOf(secret.newest), 'withdrawn', began));
    known.dispose();
    this.counts.revocations += 1;
    await sleep(300 + Math.random() * 2000);
    await this.put(secret);
  }

  /** The next version, until it is in effect. */
  async put(secret: Secret): Promise<void> {
    const { world, publisher, watch, marker } = this.#parts;
    using known = new DisposableStack();
    const [version, began] = await this.alone(async () => {
      const at = now();
      known.defer(world.opens(at));
      const next = world.putBegins(secret, at);
      const value = valueOf(marker, secret.index, next.version);
      const putting = publisher.put(new Map([[secret.name, value]]), world.workloads[0]!.name);
      const [path = ''] = await putting.catch((error: unknown) => {
        world.putFailed(secret, next);
        throw error;
      });
      if (path !== secret.pathOf(next.version)) throw new Error(`${path} was published`);
      return [next, at] as const;
    });
    world.shown(secret, version, await watch.effect(secret.pathOf(version.version), 'shown', began));
  }

  async regrant(): Promise<void> {
    const { world, publisher, watch } = this.#parts;
    const secret = pick(world.secrets.filter(({ busy, exists }) => !busy && exists.last === 'yes'));
    const workload = pick(world.workloads.filter(({ busy }) => !busy));
    if (!secret || !workload) return;
    using _busy = occupy(secret);
    const place = workload.places[secret.index]!;
    using known = new DisposableStack();
    const began = await this.alone(async () => {
      const at = now();
      known.defer(world.opens(at));
      world.tell(at, `withdrawing ${secret.name} from ${workload.name} begins`);
      place.granted.set('maybe', at);
      place.leave(at);
      await publisher.withdraw([secret.name], workload.name);
      return at;
    });
    const isThere = ({ view, file }: { view: string; file: string }): boolean =>
      view === workload.name && file === secret.name;
    const gone = await watch.until(
      `${workload.name} without ${secret.name}`,
      ({ files }) => (watch.last?.at ?? 0) > began && !files.some(isThere),
    );
    world.tell(gone, `${workload.name} is without ${secret.name}`);
    place.granted.set('no', gone);
    known.dispose();
    await sleep(300 + Math.random() * 1000);
    await this.alone(async () => {
      const at = now();
      world.tell(at, `granting ${secret.name} to ${workload.name} begins`);
      place.granted.set('maybe', at);
      place.come(at);
      await publisher.grant([secret.name], workload.name);
    });
    await watch.until(`${workload.name} with ${secret.name}`, ({ files }) => files.some(isThere));
    place.granted.set('yes', now());
    this.counts.regrants += 1;
  }

  /** A container that ends and starts again. */
  async churn({ workload, guest }: Reader): Promise<void> {
    const { world, watch, socket } = this.#parts;
    using _busy = occupy(workload);
    const at = now();
    using known = new DisposableStack();
    known.defer(world.opens(at));
    world.tell(at, `unregistering ${workload.name} begins`);
    workload.registered.set('maybe', at);
    for (const place of workload.places) place.leave(at);
    await persist(() => guest.unregister(socket), /is registered/);
    const gone = await watch.until(`an end of ${workload.name}`, () => true);
    world.tell(gone, `${workload.name} is unregistered`);
    workload.registered.set('no', gone);
    known.dispose();
    await sleep(200 + Math.random() * 1000);
    const back = now();
    world.tell(back, `registering ${workload.name} begins`);
    workload.registered.set('maybe', back);
    for (const place of workload.places) place.come(back);
    await persist(() => guest.register(socket));
    workload.registered.set('yes', now());
    this.counts.registrations += 1;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Waits for the end of an overlap. */
  async #expire(secret: Secret, old: Version): Promise<void> {
    const { world, watch } = this.#parts;
    const ends = now() + secret.overlapSeconds * 1e9;
    await sleep(Math.max(0, secret.overlapSeconds * 1000 - 2000));
    if (old.lives.last === 'no') return;
    using known = new DisposableStack();
    known.defer(world.opens(now()));
    const at = await watch.effect(secret.pathOf(old.version), 'withdrawn', 0, ends + LATE_NS);
    world.tell(at, `${secret.pathOf(old.version)} has expired`);
    world.gone(old, at);
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(this.#parts.onFailure).finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }
}

function pick<T>(among: readonly T[]): T | undefined {
  return among[Math.floor(Math.random() * among.length)];
}

function occupy(what: Secret | Workload): Disposable {
  what.busy = true;
  return { [Symbol.dispose]: () => (what.busy = false) };
}

/** While the server is being replaced nobody answers; whether the last request was heard is then not known. */
async function persist(ask: () => Promise<void>, done?: RegExp): Promise<void> {
  const deadline = performance.now() + REGISTER_MS;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (done?.test((error as Error).message)) return;
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
