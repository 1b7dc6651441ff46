// A drill's own eyes on one host: a probe that lapsed knows nothing of, but as a workload like any other. It tells what a
// container there saw, whatever became of the daemon, its news, or the service.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../client/clock.ts';
import { callControl } from '../daemon/control/client.ts';
import { ProbeGroup } from '../daemon/drill/probe-group.ts';
import { Probe } from '../daemon/drill/probe.ts';
import type { WaysSeen } from '../daemon/drill/way-record.ts';
import { WAYS } from '../manifest/realm/drill/statement.ts';
import type { DrillHost } from './host.ts';

const PROGRAM = fileURLToPath(new URL('../out/bin/probe', import.meta.url));
/** It ends by itself when nobody ends it, after that many nanoseconds. */
const LIFE_NS = 3600n * 1_000_000_000n;

/** What became of the value of one trial on one host. */
export interface Sight {
  readonly host: string;
  /** When the last read of any way had ended; nanoseconds of CLOCK_MONOTONIC. */
  readonly lastRead: bigint;
  /** Reads that began after the effect, and attempts that did. */
  readonly late: number;
  readonly attemptsAfter: number;
}

export class Onlooker implements AsyncDisposable {
  readonly host: DrillHost;
  readonly #probe: Probe;
  #trial = 0;
  #hash = 0n;

  private constructor(host: DrillHost, probe: Probe) {
    this.host = host;
    this.#probe = probe;
  }

  /** `workload` is what it is known as, `file` what it reads in its view. */
  static async start(host: DrillHost, workload: string, file: string, clock: Clock): Promise<Onlooker> {
    const { places, group } = host;
    const place = ProbeGroup.make({ directory: group.directory, parents: ['/'] });
    const body = { id: place.name, workload, cgroup: `0:${place.cgroup()}` };
    const request = { to: places.control, method: 'POST' as const, path: '/v1/workloads', body };
    const answer = await callControl(request, clock);
    if (answer.status !== 201) throw new Error(`the onlooker was not registered: ${answer.body}`);
    const order = {
      program: PROGRAM,
      path: join(places.shared, 'fs', 'self', file),
      directory: join(places.work, 'run', 'onlooker'),
      untilNs: clock.monotonic() + LIFE_NS,
      place,
    };
    return new Onlooker(host, await Probe.start(order, clock));
  }

  /** A trial begins when every way has read a value that came since then, and is counted. */
  async arm(since: bigint, signal: AbortSignal): Promise<void> {
    const hash = await this.#probe.untilShown(since, signal);
    this.#trial += 1;
    if (hash === undefined || !(await this.#probe.arm(this.#trial, hash, signal)))
      throw new Error(`${this.host.name}: the onlooker did not see the value in every way in time`);
    this.#hash = hash;
  }

  /** From then on nobody may read what the trial is about. */
  effect(at: bigint): void {
    this.#probe.effect(at);
  }

  /** Whether every way is refused. */
  async untilRefused(since: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#probe.untilRefused(since, signal);
  }

  async sight(signal: AbortSignal): Promise<Sight> {
    if (!(await this.#probe.untilCounted(signal)))
      throw new Error(`${this.host.name}: the onlooker does not count`);
    const seen = this.#probe.snapshot();
    const sum = (of: (way: WaysSeen['held']) => number): number =>
      WAYS.reduce((total, way) => total + of(seen[way]), 0);
    return {
      host: this.host.name,
      lastRead: WAYS.map((way) => this.#lastRead(seen[way])).reduce((a, b) => (a > b ? a : b)),
      late: sum(({ late }) => late),
      attemptsAfter: sum(({ attemptsAfter }) => attemptsAfter),
    };
  }

  #lastRead({ current, previous }: WaysSeen['held']): bigint {
    return [current, previous].find((value) => value?.hash === this.#hash)?.lastRead.end ?? 0n;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#probe.stop();
  }
}
