// The containers of this bench, one a trial and subject, because a reader maps once. All run the same C reader, with
// or without a workload's name; none outlives the bench.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../client/clock.ts';
import { Container } from '../../demo/container.ts';
import type { Places } from '../../demo/programs.ts';
import { fnv1a } from '../../demo/records.ts';
import type { ReadRecord } from '../../demo/records.ts';
import { putAhead } from '../session.ts';

const run = promisify(execFile);

export interface Reading {
  /** Unique among the containers that run. */
  readonly name: string;
  /** Lapse's workload; without it lapsed does not hear of the container. */
  readonly workload?: string;
  /** In the container. */
  readonly path: string;
  /** Microseconds between two attempts. */
  readonly pause: number;
}

export class Readers {
  readonly #running = new Set<Container>();
  readonly #starting = new Set<Promise<unknown>>();
  readonly #clock: Clock;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async start(places: Places, { name, workload, path, pause }: Reading): Promise<Container> {
    const options = {
      id: `lapse-bench-${process.pid}-${name}`,
      ...(workload !== undefined && { workload }),
      command: ['/bin/reader', path, String(pause)],
    };
    const started = this.#stopped ? Promise.reject(new Error('stopped')) : this.#start(places, options);
    this.#starting.add(started);
    return started.finally(() => this.#starting.delete(started));
  }

  /** Ends it and forgets it: the records of a trial are many. */
  async stop(container: Container): Promise<void> {
    await container.stop();
    this.#running.delete(container);
  }

  /** After that none starts. */
  async stopAll(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#starting);
    await Promise.all([...this.#running].map((container) => this.stop(container)));
  }

  /** Resolves when it reads; then it is ahead of the neighbours like whom it watches. */
  async #start(places: Places, options: Parameters<typeof Container.start>[2]): Promise<Container> {
    const container = await Container.start(places, this.#clock, options);
    this.#running.add(container);
    await container.seen('its view', () => true, START_MS);
    putAhead(await pidOf(places, container.id));
    return container;
  }
}

/** For a container to start, where others use the machine, too. */
export const START_MS = 60_000;

async function pidOf({ work }: Places, id: string): Promise<number> {
  const { stdout } = await run('runc', ['--root', join(work, 'runc'), 'state', id]);
  return (JSON.parse(stdout) as { pid: number }).pid;
}

/** Until the value was read in all three ways: a mapping is made once the name is readable and a descriptor held. */
export async function readInEveryWay(reader: Container, value: Uint8Array, ms = START_MS): Promise<void> {
  const hash = fnv1a(value);
  const isMapped = (record: ReadRecord): boolean => record.way === 'mapped' && record.hash === hash;
  await reader.seen('the value, mapped', isMapped, ms);
}
