// The first thing that a user would take instead: `etcdctl watch` with a script that rewrites a file on tmpfs, which
// the container sees as it sees Lapse's.
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import type { Clock } from '../../client/clock.ts';
import type { Container } from '../../demo/container.ts';
import type { Places } from '../../demo/programs.ts';
import type { Etcd } from './etcd.ts';
import { Group } from './group.ts';
import { readInEveryWay } from './readers.ts';
import type { Readers } from './readers.ts';
import { newValue, PAUSE_US } from './subject.ts';
import type { Subject, TakenBack } from './subject.ts';

const SCRIPT = fileURLToPath(new URL('./watch.sh', import.meta.url));
const PREFIX = 'watched/';
const PATIENCE_MS = 10_000;

export class Watched implements Subject, AsyncDisposable {
  readonly #places: Places;
  readonly #clock: Clock;
  readonly #etcd: Etcd;
  readonly #readers: Readers;
  readonly #watcher: Group;

  /** `places.shared` is on tmpfs, and has a directory `watched`. */
  constructor(places: Places, clock: Clock, etcd: Etcd, readers: Readers) {
    this.#places = places;
    this.#clock = clock;
    this.#etcd = etcd;
    this.#readers = readers;
    const directory = join(places.shared, PREFIX);
    this.#watcher = new Group(places, 'watch', places.cpus.host, ['sh', SCRIPT, etcd.url, PREFIX, directory]);
  }

  /** Nothing says when a watch has begun: puts until a file comes of it. */
  async ready(): Promise<void> {
    const deadline = this.#clock.boot() + PATIENCE_MS;
    while (this.#watcher.running && this.#clock.boot() < deadline) {
      await this.#etcd.put(`${PREFIX}ready`, newValue());
      await this.#clock.sleep(50);
      const file = await stat(join(this.#places.shared, PREFIX, 'ready')).catch(() => undefined);
      if (file) return;
    }
    throw new Error('etcdctl watch wrote nothing');
  }

  async give(trial: string): Promise<Container> {
    const value = newValue();
    await this.#etcd.put(`${PREFIX}token`, value);
    const path = `/run/lapse/${PREFIX}token`;
    const reader = await this.#readers.start(this.#places, {
      name: `watched-${trial}`,
      path,
      pause: PAUSE_US,
    });
    await readInEveryWay(reader, value);
    return reader;
  }

  takeBack(): Promise<TakenBack> {
    return this.#etcd.delete(`${PREFIX}token`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher[Symbol.asyncDispose]();
  }
}
