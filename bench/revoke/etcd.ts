// One etcd of Debian's, on loopback without TLS, with its data where Lapse's store is, synced to disk as it is by
// default. Operators speak to its HTTP gateway, so that no start of `etcdctl` is in the figures.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../../client/clock.ts';
import type { Places } from '../../demo/programs.ts';
import { Group } from './group.ts';
import type { TakenBack } from './subject.ts';

const PATIENCE_MS = 10_000;

export class Etcd implements AsyncDisposable {
  readonly url: string;
  readonly #server: Group;
  readonly #clock: Clock;

  constructor(places: Places, clock: Clock, port: number) {
    this.#clock = clock;
    this.url = `http://127.0.0.1:${port}`;
    this.#server = new Group(places, 'etcd', places.cpus.others, [
      'etcd',
      ...['--data-dir', join(places.work, 'etcd')],
      ...['--listen-client-urls', this.url, '--advertise-client-urls', this.url],
      // Nobody joins it.
      ...['--listen-peer-urls', 'http://127.0.0.1:0'],
      ...['--log-level', 'warn'],
    ]);
  }

  /** Its version, once it answers. */
  async ready(): Promise<string> {
    const deadline = this.#clock.boot() + PATIENCE_MS;
    while (this.#server.running && this.#clock.boot() < deadline) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      if (answer?.ok === true) return this.#version();
      await this.#clock.sleep(50);
    }
    throw new Error('etcd did not start');
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#call('/v3/kv/put', { key: base64(key), value: base64(value) });
  }

  async delete(key: string): Promise<TakenBack> {
    const zero = this.#clock.monotonic();
    const answer = await this.#call('/v3/kv/deleterange', { key: base64(key) });
    const effect = this.#clock.monotonic();
    if ((answer as { deleted?: string }).deleted !== '1') throw new Error(`etcd had no ${key} to delete`);
    return { zero, effect };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #version(): Promise<string> {
    const answer = await fetch(`${this.url}/version`);
    return ((await answer.json()) as { etcdserver: string }).etcdserver;
  }

  async #call(path: string, body: object): Promise<unknown> {
    const signal = this.#clock.deadline(PATIENCE_MS);
    const answer = await fetch(`${this.url}${path}`, { method: 'POST', body: JSON.stringify(body), signal });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`etcd ${path}: ${text}`);
    return JSON.parse(text);
  }
}

/** Another program may take it before it is used; then etcd does not start, and says so. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function base64(bytes: string | Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
