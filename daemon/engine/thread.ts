// The serving thread, seen from the main thread: started, told to serve, told to stop, and what it reports.
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Clock } from '../../client/clock.ts';
import { DEVICE } from '../../fuse/hold/held.ts';
import type { Agreement } from '../../fuse/negotiation.ts';
import { REPLY_BUFFER_BYTES } from '../../fuse/reply.ts';
import type { CrashMeans } from '../../manifest/realm/drill/order.ts';
import { DaemonError } from '../errors.ts';
import type { ThreadData, ThreadReport } from '../serving-thread.ts';
import type { Shown } from '../table.ts';
import type { EngineParts } from './engine.ts';
import { ORDER } from './order.ts';

/** Milliseconds until a fresh server must be ready. */
const READY_MS = 10_000;

export class ServingThread {
  /** What INIT agreed on, when it is answered; at once where an earlier server did that. */
  readonly ready: Promise<Agreement>;
  /** The `unique` of the first request. */
  readonly first: Promise<bigint>;
  /** It does not touch the device any more. What is left of the thread takes its time. */
  readonly ended: Promise<void>;
  readonly #tables = new MessageChannel();
  readonly #go = new Int32Array(new SharedArrayBuffer(4));
  readonly #order = new Int32Array(new SharedArrayBuffer(4));
  /** How many tables the thread has taken. */
  readonly #taken = new Int32Array(new SharedArrayBuffer(4));
  #shown = 0;

  constructor(parts: EngineParts, agreement: Agreement | undefined) {
    const { memory, arena, slots, leases } = parts;
    const data: ThreadData = {
      device: DEVICE,
      ...(agreement && { agreement }),
      arena: memory,
      slots: slots.shared,
      leases: leases.shared,
      go: this.#go.buffer,
      order: this.#order.buffer,
      taken: this.#taken.buffer,
      reply: arena.allocate(REPLY_BUFFER_BYTES),
      tables: this.#tables.port2,
    };
    const worker = new Worker(parts.worker, { workerData: data, transferList: [this.#tables.port2] });
    const ready = Promise.withResolvers<Agreement>();
    const first = Promise.withResolvers<bigint>();
    this.ready = ready.promise;
    this.first = first.promise;
    const ended = Promise.withResolvers<undefined>();
    this.ended = ended.promise;
    worker.once('exit', () => {
      ended.resolve(undefined);
      this.#tables.port1.close();
    });
    worker.on('message', (report: ThreadReport) => {
      if (report.kind === 'ready') ready.resolve(report.agreement);
      else if (report.kind === 'first') first.resolve(report.unique);
      else if (report.kind === 'opened') parts.onOpened(report.slot);
      else if (report.kind === 'fault')
        parts.log.error(`a request was refused because of a fault: ${report.message}`);
      else if (this.#stopping) ended.resolve(undefined);
      else parts.onGone();
    });
    worker.on('error', (cause) => {
      const failure = new DaemonError('worker-failed', 'the serving thread failed', { cause });
      ready.reject(failure);
      parts.onFailure(failure);
    });
  }

  /** It reads the device from now on. */
  go(): void {
    Atomics.store(this.#go, 0, 1);
    Atomics.notify(this.#go, 0);
  }

  /**
   * It sees this before the next request. Resolves when it has: under load sooner than a request of our own would come to its
   * turn. Without a request, never.
   */
  async show(table: Shown): Promise<void> {
    this.#shown += 1;
    const shown = this.#shown;
    this.#tables.port1.postMessage(table);
    for (let taken = this.#takenYet(); taken < shown; taken = this.#takenYet()) {
      await Atomics.waitAsync(this.#taken, 0, taken).value;
    }
  }

  /** It ends after the next request. */
  stop(): void {
    Atomics.store(this.#order, 0, ORDER.end);
  }

  /** It throws, or hangs for good, after the next request. */
  strike(means: CrashMeans): void {
    Atomics.store(this.#order, 0, means === 'kill' ? ORDER.fail : ORDER.hang);
  }

  async untilReady(clock: Clock): Promise<Agreement> {
    const given = new AbortController();
    const late = clock.sleep(READY_MS, given.signal).then((): never => {
      throw new DaemonError('worker-failed', 'the server did not become ready in time');
    });
    return Promise.race([this.ready, late]).finally(() => given.abort());
  }

  #takenYet(): number {
    return Atomics.load(this.#taken, 0);
  }

  get #stopping(): boolean {
    return Atomics.load(this.#order, 0) === ORDER.end;
  }
}
