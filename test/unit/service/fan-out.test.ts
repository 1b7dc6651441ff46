// The fan-out alone, over a source that counts how often it is asked.
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Clock } from '../../../service/clock.ts';
import { FanOut } from '../../../service/fan-out.ts';
import type { NewsSource } from '../../../service/fan-out.ts';
import type { Change } from '../../../service/store/store.ts';

class Source implements NewsSource {
  revision = 1;
  asked: (number | undefined)[] = [];
  readonly hosts = new Map([['kid', 'web-1']]);
  #listener: (change: Change) => void = () => undefined;

  news(since: number | undefined): ReturnType<NewsSource['news']> {
    this.asked.push(since);
    return Promise.resolve({
      revision: this.revision,
      news: { timestamp: Buffer.from('t'), files: new Map() },
    });
  }

  watch(listener: (change: Change) => void): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => undefined };
  }

  members(): ReturnType<NewsSource['members']> {
    return Promise.resolve({ byKid: this.hosts });
  }

  move(...keys: readonly string[]): void {
    this.#listener({ revision: ++this.revision, keys });
  }
}

class Sink extends Writable {
  readonly chunks: string[] = [];
  /** A slow reader never calls back. */
  readonly #isSlow: boolean;

  constructor(isSlow = false) {
    super({ highWaterMark: 1 });
    this.#isSlow = isSlow;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk.toString());
    if (!this.#isSlow) done();
  }
}

function make(): { source: Source; fanOut: FanOut; tick: () => void } {
  const source = new Source();
  let tick = (): void => undefined;
  const clock: Clock = {
    now: () => 0,
    monotonicUs: () => 7,
    bootId: 'boot',
    sleep: () => Promise.resolve(),
    every(_milliseconds, each) {
      tick = each;
      return { [Symbol.dispose]: () => undefined };
    },
  };
  const fanOut = new FanOut(source, clock, () => undefined, { streams: 3, backlogBytes: 10, keepAliveMs: 1 });
  return { source, fanOut, tick: () => tick() };
}

test('streams at the same revision share one event, read and encoded once', async () => {
  const { source, fanOut } = make();
  const sinks = [new Sink(), new Sink(), new Sink()];
  for (const sink of sinks) fanOut.subscribe(sink, 'kid', 1);
  await turn();
  source.asked = [];
  source.move();
  await turn();
  expect(source.asked).toEqual([1]);
  for (const { chunks } of sinks) {
    expect(chunks.at(-1)).toBe(
      'id: 2\nevent: news\ndata: {"timestamp":"dA==","files":{},"at":7,"boot":"boot"}\n\n',
    );
  }
});

test('commits that come while an event is prepared are merged into the next', async () => {
  const { source, fanOut } = make();
  const sink = new Sink();
  fanOut.subscribe(sink, 'kid', undefined);
  for (let i = 0; i < 5; i++) source.move();
  await turn();
  expect(sink.chunks.length).toBeLessThan(3);
  expect(sink.chunks.at(-1)).toMatch(/^id: 6\n/);
});

test('a slow stream is dropped; the others go on', async () => {
  const { source, fanOut } = make();
  const [slow, quick] = [new Sink(true), new Sink()];
  fanOut.subscribe(slow, 'kid', 1);
  fanOut.subscribe(quick, 'kid', 1);
  await turn();
  source.move();
  await turn();
  expect(slow.destroyed).toBe(true);
  expect(fanOut.size).toBe(1);
  expect(quick.chunks.at(-1)).toMatch(/^id: 2\n/);
});

test('a slow stream is dropped by keep-alives too', async () => {
  const { fanOut, tick } = make();
  const [slow, quick] = [new Sink(true), new Sink()];
  fanOut.subscribe(slow, 'kid', 1);
  fanOut.subscribe(quick, 'kid', 1);
  await turn();
  tick();
  expect(slow.destroyed).toBe(true);
  expect(quick.chunks.at(-1)).toBe(': keep-alive\n\n');
});

test('there is room for a bounded number of streams', async () => {
  const { fanOut } = make();
  const sinks = [new Sink(), new Sink(), new Sink()];
  for (const sink of sinks) fanOut.subscribe(sink, 'kid', undefined);
  expect(() => fanOut.checkRoom()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }));
  sinks[0]!.destroy();
  await turn();
  expect(() => fanOut.checkRoom()).not.toThrow();
});

test('a stream of a host that is gone is cut, and gets nothing of the change', async () => {
  const { source, fanOut } = make();
  source.hosts.set('other', 'web-2');
  const [gone, kept] = [new Sink(), new Sink()];
  fanOut.subscribe(gone, 'other', 1);
  fanOut.subscribe(kept, 'kid', 1);
  await turn();
  source.hosts.delete('other');
  source.move('2.payments.json');
  await turn();
  expect(gone.destroyed).toBe(false);
  source.move('2.fleet.json');
  await turn();
  expect([gone.destroyed, gone.chunks.at(-1)]).toMatchObject([true, expect.stringMatching(/^id: 2\n/)]);
  expect(kept.chunks.at(-1)).toMatch(/^id: 3\n/);
});

test('a host that was removed before its stream was served gets nothing', async () => {
  const { fanOut } = make();
  const sink = new Sink();
  fanOut.subscribe(sink, 'stranger', undefined);
  await turn();
  expect([sink.destroyed, sink.chunks]).toEqual([true, []]);
});

test('a stream that closed before it was served is not kept', () => {
  const { fanOut } = make();
  fanOut.subscribe(new Sink().destroy(), 'kid', undefined);
  expect(fanOut.size).toBe(0);
});

test('disposing of it ends every stream', async () => {
  const { fanOut } = make();
  const sink = new Sink();
  fanOut.subscribe(sink, 'kid', undefined);
  fanOut[Symbol.dispose]();
  await turn();
  expect(sink.writableEnded).toBe(true);
});
