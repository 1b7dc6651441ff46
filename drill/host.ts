// One host of a drill: its own identity, its own lapsed and mount, a run directory in memory as every host has, and a control
// group that holds whatever it starts. With a line it lives in a network namespace. All of it is gone when it is disposed.
import { execFile } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../client/clock.ts';
import { joinFleet, makePlaces, mountRun, startDaemon } from '../demo/programs.ts';
import type { Places, Program } from '../demo/programs.ts';
import { ControlGroup } from './control-group.ts';
import type { Line } from './network.ts';

const run = promisify(execFile);
/** As systemd/lapsed.service says: how long after its end a lapsed is started again, in milliseconds. */
const RESTART_MS = 1000;
/** In the host's memory, since a disk that stands still must hold up nothing that a drill measures: what its programs say. */
const LOGS = join('run', 'logs');
/** Likewise the file that moves a host's wall clock, which is read all the time; and its length. */
const WALL = join('run', 'wall');
const WALL_BYTES = 20;

export interface HostOptions {
  readonly number: number;
  /** Service and operator are everybody's. */
  readonly shared: Places;
  /** Lines of lapsed.toml. */
  readonly settings: readonly string[];
  /** Takes the place of bin/lapsed; `wall` is the file that moves this host's wall clock. */
  readonly command?: ((wall: string) => readonly [string, ...string[]]) | undefined;
  readonly line?: Line | undefined;
  /** Where it finds the service, if not where the operator does. */
  readonly via?: string | undefined;
}

export class DrillHost implements AsyncDisposable {
  readonly name: string;
  readonly places: Places;
  readonly line: Line | undefined;
  readonly group: ControlGroup;
  restarts = 0;
  readonly #clock: Clock;
  readonly #command: readonly [string, ...string[]] | undefined;
  readonly #resources: AsyncDisposableStack;
  #program: Program | undefined;
  #supervision: Promise<void> | undefined;
  #ending = false;

  private constructor(
    places: Places,
    group: ControlGroup,
    options: HostOptions,
    clock: Clock,
    resources: AsyncDisposableStack,
  ) {
    this.name = nameOf(options);
    this.places = places;
    this.line = options.line;
    this.group = group;
    this.#clock = clock;
    this.#command = options.command?.(join(places.work, WALL));
    this.#resources = resources;
  }

  /** Joined, and serving under a lease. */
  static async start(options: HostOptions, clock: Clock): Promise<DrillHost> {
    await using stack = new AsyncDisposableStack();
    const { shared, settings, line, via } = options;
    const name = nameOf(options);
    const work = join(shared.work, name);
    await mountRun(work);
    unmountLater(join(work, 'run'), stack);
    const group = stack.use(await ControlGroup.make(`lapse-drill-${process.pid}-${options.number}`, clock));
    const enter = [...group.enter, ...(line?.enter ?? [])];
    const own = await makePlaces(work, shared.cpus, { enter, settings });
    const places = { ...own, operator: shared.operator, store: shared.store, logs: join(work, LOGS) };
    await mkdir(places.logs);
    await writeFile(join(work, WALL), '0'.padEnd(WALL_BYTES));
    const host = new DrillHost(places, group, options, clock, stack.move());
    try {
      await joinFleet(places, clock, { name, ...(via === undefined ? {} : { via }) });
      host.#program = await startDaemon(places, clock, host.#command);
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From now on it is started again whenever its lapsed ends, as systemd does. */
  supervise(): void {
    this.#supervision ??= this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    for (;;) {
      await this.#program?.ended();
      if (this.#ending) return;
      await this.#clock.sleep(RESTART_MS);
      this.restarts++;
      this.#program = await startDaemon(this.places, this.#clock, this.#command).catch(() => undefined);
    }
  }

  /** How far this host's wall clock is ahead, in milliseconds; in place, since it is read all the time. */
  async moveWallClock(ms: number): Promise<void> {
    await using file = await open(join(this.places.work, WALL), 'r+');
    await file.write(String(ms).padEnd(WALL_BYTES), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#program?.stop();
    await this.#supervision;
    await this.#resources.disposeAsync();
  }
}

function nameOf({ number }: HostOptions): string {
  return `host-${number}`;
}

/** With what a daemon that was killed left mounted in it. */
function unmountLater(directory: string, stack: AsyncDisposableStack): void {
  for (const place of [directory, join(directory, 'lapsed', 'fs'), join(directory, 'lapse', 'fs')])
    stack.defer(() => run('umount', ['-l', place]).then(ignore, ignore));
}

function ignore(): void {
  // It was not mounted any more, as it should be.
}
