// One host's worth of real programs and containers, in a directory of its own, and the promise that all of it is
// gone at the end, whatever happened: processes, containers, mounts, files.
import { execFileSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../client/clock.ts';
import { Container } from './container.ts';
import { withdrawnAt } from './measure.ts';
import {
  daemonStatus,
  joinFleet,
  lapse,
  makeRealm,
  mountRun,
  startDaemon,
  startService,
} from './programs.ts';
import type { Change, Places, Program, ServiceAt } from './programs.ts';

export class Stage {
  readonly places: Places;
  readonly #clock: Clock;
  readonly #programs: Program[] = [];
  readonly #containers: Container[] = [];
  readonly #starting = new Set<Promise<unknown>>();
  #mounted: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(places: Places, clock: Clock) {
    this.places = places;
    this.#clock = clock;
  }

  startService(): Promise<{ program: Program; at: ServiceAt }> {
    return this.#start(async () => {
      const service = await startService(this.places, this.#clock);
      this.#programs.push(service.program);
      return service;
    });
  }

  makeRealm(service: ServiceAt, lease: string): Promise<void> {
    return this.#start(() => makeRealm(this.places, service, lease));
  }

  join(name: string): Promise<void> {
    return this.#start(() => joinFleet(this.places, this.#clock, { name }));
  }

  /** `command` takes the place of `lapsed`. */
  startDaemon(command?: readonly [string, ...string[]]): Promise<void> {
    return this.#start(async () => {
      this.#programs.push(await startDaemon(this.places, this.#clock, command));
    });
  }

  startContainer(workload: string, command: readonly string[]): Promise<Container> {
    return this.#start(async () => {
      const id = `lapse-demo-${process.pid}-${workload}`;
      const container = await Container.start(this.places, this.#clock, { id, workload, command });
      this.#containers.push(container);
      return container;
    });
  }

  lapse(args: readonly string[], input?: Uint8Array): Promise<Change> {
    return this.#start(() => lapse(this.places, args, input));
  }

  /** When the daemon had withdrawn a version, CLOCK_MONOTONIC in nanoseconds; waits 10 s for that. */
  async withdrawn(version: string): Promise<bigint> {
    const deadline = this.#clock.boot() + 10_000;
    while (this.#clock.boot() < deadline) {
      const at = withdrawnAt(await daemonStatus(this.places, this.#clock), version);
      if (at !== undefined) return at;
      await this.#clock.sleep(20);
    }
    throw new Error(`lapsed did not withdraw ${version} within 10 s`);
  }

  /** The end of what the daemon has said; empty when it was never started, or is being stopped as somebody wished. */
  async lastWords(): Promise<string> {
    if (this.#stopped) return '';
    const log = await readFile(join(this.places.logs, 'lapsed.log'), 'utf8').catch(() => '');
    return log.slice(-2000);
  }

  /** Containers first, then programs in the opposite order of their start. */
  stopAll(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async clear(): Promise<void> {
    await this.stopAll();
    const { shared, control, work } = this.places;
    // Only a daemon that was killed leaves a mount behind, in what is in memory.
    for (const mount of [join(shared, 'fs'), join(dirname(control), 'fs'), join(work, 'run')]) {
      try {
        execFileSync('umount', ['-l', mount], { stdio: 'ignore' });
      } catch {
        // Nothing was mounted any more, as it should be.
      }
    }
    await rm(work, { recursive: true, force: true });
  }

  /** What is being started when the end comes is waited for, and then stopped; after that nothing starts. First its /run. */
  async #start<T>(start: () => Promise<T>): Promise<T> {
    if (this.#stopped) throw new Error('stopped before the end');
    this.#mounted ??= mountRun(this.places.work);
    const started = this.#mounted.then(start);
    this.#starting.add(started);
    return started.finally(() => this.#starting.delete(started));
  }

  async #stopAll(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await Promise.all(this.#containers.map((container) => container.stop()));
    for (const program of this.#programs.toReversed()) await program.stop();
  }
}
