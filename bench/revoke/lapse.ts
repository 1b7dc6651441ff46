// Lapse as it is: service, daemon, container, and the command of the operator. `command` is another daemon: the
// sabotaged one is this bench's control.
import type { Container } from '../../demo/container.ts';
import type { Stage } from '../../demo/stage.ts';
import { readInEveryWay } from './readers.ts';
import type { Readers } from './readers.ts';
import { newValue, PAUSE_US } from './subject.ts';
import type { Subject, TakenBack } from './subject.ts';

const SECRET = 'bench/token';

export class Lapse implements Subject {
  readonly #stage: Stage;
  readonly #readers: Readers;
  #version = 0;

  private constructor(stage: Stage, readers: Readers) {
    this.#stage = stage;
    this.#readers = readers;
  }

  /** The caller clears the stage. */
  static async start(
    stage: Stage,
    readers: Readers,
    command?: readonly [string, ...string[]],
  ): Promise<Lapse> {
    const { at } = await stage.startService();
    await stage.makeRealm(at, '60s');
    await stage.lapse(['namespace', 'add', 'bench']);
    await stage.join('host-1');
    await stage.startDaemon(command);
    return new Lapse(stage, readers);
  }

  async give(trial: string): Promise<Container> {
    const workload = `web-${trial}`;
    const value = newValue();
    const put = await this.#stage.lapse(
      ['secret', 'put', SECRET, '--grant', workload],
      Uint8Array.from(value),
    );
    this.#version = put.version ?? 0;
    const path = '/run/lapse/fs/self/token';
    const reading = { name: workload, workload, path, pause: PAUSE_US };
    const reader = await this.#readers.start(this.#stage.places, reading);
    await readInEveryWay(reader, value);
    return reader;
  }

  async takeBack(): Promise<TakenBack> {
    const { clockZero } = await this.#stage.lapse(['revoke', SECRET, '--yes']);
    const effect = await this.#stage.withdrawn(`${SECRET}@${this.#version}`);
    return { zero: BigInt(clockZero), effect };
  }
}
