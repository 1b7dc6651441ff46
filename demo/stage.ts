// One host's worth of real programs and containers, in a directory of its own, and the promise that all of it is
// gone at the end, whatever happened: processes, containers, mounts, files.
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../client/clock.ts';
import { Container } from './container.ts';
import { startDaemon, startService } from './programs.ts';
import type { Places, Program } from './programs.ts';

export class Stage {
  readonly places: Places;
  readonly #clock: Clock;
  readonly #programs: Program[] = [];
  readonly #containers: Container[] = [];
  #stopped: Promise<void> | undefined;

  constructor(places: Places, clock: Clock) {
    this.places = places;
    this.#clock = clock;
  }

  /** The service's address. */
  async startService(): Promise<string> {
    const { program, url } = await startService(this.places, this.#clock);
    this.#programs.push(program);
    return url;
  }

  /** `command` takes the place of `lapsed`. */
  async startDaemon(url: string, command?: readonly [string, ...string[]]): Promise<void> {
    this.#programs.push(await startDaemon(this.places, this.#clock, url, command));
  }

  async startContainer(workload: string, command: readonly string[]): Promise<Container> {
    const id = `lapse-demo-${process.pid}-${workload}`;
    const container = await Container.start(this.places, this.#clock, { id, workload, command });
    this.#containers.push(container);
    return container;
  }

  /** Containers first, then programs in the opposite order of their start. */
  stopAll(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async clear(): Promise<void> {
    await this.stopAll();
    try {
      // Only a daemon that was killed leaves a mount behind.
      execFileSync('umount', ['-l', join(this.places.shared, 'fs')], { stdio: 'ignore' });
    } catch {
      // Nothing was mounted any more, as it should be.
    }
    await rm(this.places.work, { recursive: true, force: true });
  }

  async #stopAll(): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop()));
    for (const program of this.#programs.toReversed()) await program.stop();
  }
}
