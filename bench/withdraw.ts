// One secret in 100 views, held in each by ten descriptors and a mapping; it is revoked, and the time runs from when the
// news was verified here until nothing of it can be read. Every holder is asked afterwards; some read at full rate all
// along. Around it: how much memory a server with 1,000 files needs.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Host } from '../test/support/lapsed.ts';
import { Publisher } from '../test/support/lapsed-publisher.ts';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';
import { Guest, compileGuest } from './guest.ts';
import { sessionAhead } from './session.ts';

const VIEWS = 100;
const DESCRIPTORS = 10;
const SECRETS = 10;
const VALUE_BYTES = 4096;
const TRIALS = 10;
/** How many holders read at full rate; a trial has others every time. */
const SAMPLE = 2;
const PATIENCE_MS = 30_000;
const DEAD = 'EACCES SIGBUS';

const secretName = (i: number): string => `secret-${i}`;
const value = (): string => randomBytes((VALUE_BYTES * 3) / 4).toString('base64');

class Holder implements AsyncDisposable {
  readonly guest: Guest;
  readonly #lines;

  private constructor(guest: Guest) {
    this.guest = guest;
    this.#lines = createInterface({ input: guest.stdout })[Symbol.asyncIterator]();
  }

  static async start(program: string, workload: string): Promise<Holder> {
    const holder = new Holder(new Guest(workload, [program]));
    await holder.#expect('ready');
    return holder;
  }

  async hold(path: string): Promise<void> {
    this.#say(`hold ${path} ${DESCRIPTORS}`);
    await this.#expect('held');
  }

  /** The last read that succeeded; resolves when every way of reading has failed. */
  async poll(): Promise<{ readonly start: bigint; readonly end: bigint }> {
    this.#say('poll');
    const [start = '', end = '', ...ends] = (await this.#answer()).split(' ');
    if (ends.sort().join(' ') !== DEAD) throw new Error(`${this.guest.workload}: ${ends.join(' ')}`);
    return { start: BigInt(start), end: BigInt(end) };
  }

  async expectTry(expected: string): Promise<void> {
    this.#say('try');
    await this.#expect(expected);
  }

  async drop(): Promise<void> {
    this.#say('drop');
    await this.#expect('dropped');
  }

  async sweep(path: string): Promise<void> {
    this.#say(`sweep ${path}`);
    await this.#expect(String(SECRETS * VALUE_BYTES));
  }

  #say(command: string): void {
    this.guest.stdin.write(`${command}\n`);
  }

  async #expect(expected: string): Promise<void> {
    const answer = (await this.#answer()).split(' ').sort().join(' ');
    if (answer !== expected)
      throw new Error(`${this.guest.workload} says ${answer} where ${expected} is due`);
  }

  async #answer(): Promise<string> {
    const { value: answer, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.guest.workload} has ended`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
  }
}

interface Trial {
  readonly effectMs: number;
  readonly lastReadMs: number;
}

export async function withdraw(): Promise<Findings> {
  using _ahead = sessionAhead();
  await using host = await Host.start();
  await using resources = new AsyncDisposableStack();
  const empty = rss(host);
  const program = compileGuest(new URL('holder.c', import.meta.url));
  const holders: Holder[] = [];
  for (let i = 0; i < VIEWS; i++) {
    const holder = resources.use(await Holder.start(program, `view-${i}`));
    await holder.guest.register(host.places.control);
    holders.push(holder);
  }
  const grants = holders.flatMap(({ guest }) => ['--grant', guest.workload]);
  for (let i = 0; i < SECRETS; i++) await host.put(secretName(i), value(), ...grants);
  await host.statusOf('every file', ({ files }) => files.length === VIEWS * SECRETS);
  for (const holder of holders) await holder.sweep(join(host.mount, 'self'));
  const full = rss(host);
  const publisher = await Publisher.open(host.places);
  const trials: Trial[] = [];
  while (trials.length < TRIALS) trials.push(await trial(host, publisher, holders, trials.length));
  return report(trials, empty, full);
}

async function trial(
  host: Host,
  publisher: Publisher,
  holders: readonly Holder[],
  number: number,
): Promise<Trial> {
  const name = secretName(0);
  if (number > 0) {
    const [path = ''] = await publisher.put(new Map([[name, value()]]), 'view-0');
    await host.effect(path, 'shown');
  }
  const { files } = await host.statusOf(
    'the file everywhere',
    (status) => status.files.length === VIEWS * SECRETS,
  );
  const version = files.find(({ file }) => file === name)?.version ?? '';
  await Promise.all(holders.map((holder) => holder.hold(join(host.mount, 'self', name))));
  // The control: what will have to fail does succeed.
  await Promise.all(holders.map((holder) => holder.expectTry('ok')));
  const sample = Array.from({ length: SAMPLE }, (_, i) => holders[(number * SAMPLE + i) % holders.length]!);
  const polled = sample.map((holder) => holder.poll());
  await publisher.revoke([name]);
  // Not before: whoever asks lapsed delays it.
  const lasts = await Promise.all(polled);
  const { receivedAt, effectAt } = await withdrawal(host, version);
  if (lasts.some(({ start }) => start > effectAt)) throw new Error('a read succeeded after the effect');
  await Promise.all(holders.map((holder) => holder.expectTry(DEAD)));
  await Promise.all(holders.map((holder) => holder.drop()));
  const lastRead = lasts.reduce((last, { end }) => (end > last ? end : last), receivedAt);
  return { effectMs: ms(effectAt - receivedAt), lastReadMs: ms(lastRead - receivedAt) };
}

async function withdrawal(host: Host, version: string): Promise<{ receivedAt: bigint; effectAt: bigint }> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const { effects } = await host.status();
    const effect = effects.find((note) => note.version === version && note.change === 'withdrawn');
    if (effect) return { receivedAt: BigInt(effect.receivedAt), effectAt: BigInt(effect.effectAt) };
  }
  throw new Error(`${version} was not withdrawn in ${PATIENCE_MS} ms`);
}

interface Memory {
  readonly server: number;
  readonly holder: number;
}

function rss(host: Host): Memory {
  const server = Number(readFileSync(join(dirname(host.places.control), 'pid'), 'utf8'));
  return { server: rssMiB(server), holder: rssMiB(host.lapsed.pid) };
}

function rssMiB(pid: number): number {
  const [, kib = ''] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kib) / 102.4) / 10;
}

function report(trials: readonly Trial[], empty: Memory, full: Memory): Findings {
  const spread = (values: readonly number[]) => ({
    p50: round(percentile(values, 0.5)),
    max: round(percentile(values, 1)),
  });
  const figures = {
    descriptors: VIEWS * DESCRIPTORS,
    views: VIEWS,
    trials: trials.length,
    receivedToEffectMs: spread(trials.map(({ effectMs }) => effectMs)),
    receivedToLastReadMs: spread(trials.map(({ lastReadMs }) => lastReadMs)),
  };
  const { receivedToEffectMs: effect, receivedToLastReadMs: read } = figures;
  const files = VIEWS * SECRETS;
  return {
    lines: [
      `${trials.length} revocations of a file that ${figures.descriptors} descriptors and ${VIEWS} mappings hold in ${VIEWS} views, among ${files} files:`,
      `from the news to the effect           p50 ${effect.p50} ms, most ${effect.max} ms`,
      `from the news to the last that was read  p50 ${read.p50} ms, most ${read.max} ms`,
      `resident with ${files} files of 4 KiB in ${VIEWS} views, each read once: server ${full.server} MiB (empty ${empty.server}), holder ${full.holder} MiB`,
    ],
    json: { withdraw: figures, rssMiB: { ...full, emptyServer: empty.server, files, views: VIEWS } },
  };
}

function ms(ns: bigint): number {
  return Number(ns) / 1e6;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
