// The second thing: a script that asks etcd now and then. Many of them ask for one key, evenly spread over the
// interval, each for a container of its own; one deletion gives as many real delays, and none is computed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../client/clock.ts';
import type { Container } from '../../demo/container.ts';
import type { Places } from '../../demo/programs.ts';
import type { Etcd } from './etcd.ts';
import { Group } from './group.ts';
import { outcomeOf } from './outcome.ts';
import type { Outcome } from './outcome.ts';
import { readInEveryWay, START_MS } from './readers.ts';
import type { Readers } from './readers.ts';
import { newValue } from './subject.ts';

const SCRIPT = fileURLToPath(new URL('./poll.sh', import.meta.url));
const POLLERS = 20;
const KEY = 'polled/token';
/** Coarse beside a minute, and nothing that whoever is measured meanwhile would feel. Microseconds. */
const PAUSE_US = 100_000;
/** How long after the interval everybody has asked again. */
export const SPARE_MS = 2000;

export class Pollers implements AsyncDisposable {
  readonly #places: Places;
  readonly #clock: Clock;
  readonly #etcd: Etcd;
  readonly #readers: Readers;
  readonly #seconds: number;
  readonly #containers: Container[] = [];
  readonly #scripts: Group[] = [];

  /** `places.shared` is on tmpfs. */
  constructor(places: Places, clock: Clock, etcd: Etcd, readers: Readers, seconds: number) {
    this.#places = places;
    this.#clock = clock;
    this.#etcd = etcd;
    this.#readers = readers;
    this.#seconds = seconds;
  }

  /** The containers, each waiting for its file. Before anything is measured: twenty starts are felt. */
  async prepare(): Promise<void> {
    for (let i = 0; i < POLLERS; i++) {
      mkdirSync(join(this.#places.shared, directory(i)));
      const reading = { name: directory(i), path: `/run/lapse/${directory(i)}/token`, pause: PAUSE_US };
      this.#containers.push(await this.#readers.start(this.#places, reading));
    }
  }

  /** Takes a little more than twice the interval. */
  async run(): Promise<readonly Outcome[]> {
    const intervalMs = this.#seconds * 1000;
    const value = newValue();
    await this.#etcd.put(KEY, value);
    for (let i = 0; i < POLLERS; i++) this.#startScript(i);
    await Promise.all(this.#containers.map((reader) => readInEveryWay(reader, value, intervalMs + START_MS)));
    // Not always just after the last of them has asked.
    await this.#clock.sleep((Math.random() * intervalMs) / POLLERS);
    const taken = await this.#etcd.delete(KEY);
    const lookMs = intervalMs + SPARE_MS;
    await this.#clock.sleep(lookMs + 500);
    await Promise.all(this.#containers.map((reader) => this.#readers.stop(reader)));
    return this.#containers.map((reader) => outcomeOf(reader.records(), taken, lookMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#scripts.map((script) => script[Symbol.asyncDispose]()));
  }

  #startScript(i: number): void {
    const file = join(this.#places.shared, directory(i), 'token');
    const first = (i * this.#seconds) / POLLERS;
    const parameters = [this.#etcd.url, KEY, file, String(this.#seconds), String(first)];
    // Milliseconds are nothing to it, and much to those who are measured meanwhile.
    const command = ['nice', '-n', '19', 'sh', SCRIPT, ...parameters];
    this.#scripts.push(new Group(this.#places, directory(i), this.#places.cpus.host, command));
  }
}

function directory(i: number): string {
  return `polled-${i}`;
}
