// Where a passphrase comes from: `--passphrase-fd N`, a descriptor that is read to the end of its first line, or the
// terminal, without echo. Never argv and never the environment. It stays in Buffers, which are zeroed at the end.
import { readSync, readlinkSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { askHidden } from './terminal.ts';

const MOST_BYTES = 1024;
const LINE_FEED = 0x0a;
/** A non-blocking descriptor is asked again after so many milliseconds, and given up after so many. */
const RETRY_MS = 5;
const WAIT_MS = 60_000;

export class Passphrases implements Disposable {
  readonly #descriptor: number | undefined;
  readonly #clock: Clock;
  readonly #given: Buffer[] = [];
  #read: Promise<Buffer> | undefined;

  constructor(descriptor: number | undefined, clock: Clock) {
    this.#descriptor = descriptor;
    this.#clock = clock;
  }

  /** Those that were given so far; one may serve several identities. They are zeroed on disposal. */
  get given(): readonly Buffer[] {
    return this.#given;
  }

  /** Whether asking again, after a wrong one, could bring another. */
  get canAskAgain(): boolean {
    return this.#descriptor === undefined;
  }

  /** A passphrase that exists. @throws ClientError identity-locked: there is neither a descriptor nor a terminal */
  async known(identity: string, isAgain = false): Promise<Buffer> {
    return this.#keep(
      this.#descriptor === undefined
        ? await ask(`${isAgain ? 'That is not it. ' : ''}Passphrase of ${identity}: `)
        : await this.#fromDescriptor(this.#descriptor),
    );
  }

  /**
   * A new one, typed twice. From a descriptor of its own if there is one: it may be the same as for those that exist, whose
   * line comes first.
   * @throws ClientError passphrase-missing
   */
  async fresh(purpose: string, own?: number): Promise<Buffer> {
    if (own !== undefined) return this.#keep(await readFirstLine(own, this.#clock));
    if (this.#descriptor !== undefined) return this.#keep(await this.#fromDescriptor(this.#descriptor));
    const first = this.#keep(await askNew(`New passphrase for ${purpose}: `));
    const second = this.#keep(await askNew('The same again: '));
    if (first.equals(second)) return first;
    throw new ClientError('passphrase-missing', 'the two differ; nothing was done');
  }

  /** Reads the descriptor now, before anything else is read from it. */
  async prefetch(): Promise<void> {
    if (this.#descriptor !== undefined) this.#keep(await this.#fromDescriptor(this.#descriptor));
  }

  [Symbol.dispose](): void {
    for (const passphrase of this.#given.splice(0)) passphrase.fill(0);
    this.#read = undefined;
  }

  #fromDescriptor(descriptor: number): Promise<Buffer> {
    this.#read ??= readFirstLine(descriptor, this.#clock);
    return this.#read;
  }

  #keep(passphrase: Buffer): Buffer {
    if (!this.#given.includes(passphrase)) this.#given.push(passphrase);
    return passphrase;
  }
}

async function ask(question: string): Promise<Buffer> {
  const typed = await askHidden(question, MOST_BYTES);
  if (typed === undefined) {
    throw new ClientError(
      'identity-locked',
      'nobody can be asked for the passphrase; run lapse unlock at a terminal, or give --passphrase-fd N',
    );
  }
  return checked(typed);
}

async function askNew(question: string): Promise<Buffer> {
  const typed = await askHidden(question, MOST_BYTES);
  if (typed === undefined) {
    throw new ClientError(
      'passphrase-missing',
      'nobody can be asked for a passphrase; give --passphrase-fd N, or say --no-passphrase',
    );
  }
  return checked(typed);
}

function checked(typed: Buffer | 'given-up' | 'too-long'): Buffer {
  if (typed === 'given-up') throw new ClientError('passphrase-missing', 'no passphrase was given');
  if (typed === 'too-long') throw tooLong();
  if (typed.length === 0) throw new ClientError('passphrase-missing', 'the passphrase is empty');
  return typed;
}

/**
 * Byte by byte, so that what follows the line stays for others. Pipes between processes may not block: then the
 * descriptor is asked again.
 */
async function readFirstLine(descriptor: number, clock: Clock): Promise<Buffer> {
  refuseOwn(descriptor);
  const line = Buffer.alloc(MOST_BYTES + 1);
  const end = clock.boot() + WAIT_MS;
  let length = 0;
  try {
    while (length < line.length) {
      const count = readByte(descriptor, line, length);
      if (count === 'not-yet') {
        if (clock.boot() > end)
          throw new ClientError('passphrase-missing', `descriptor ${descriptor} gives nothing`);
        await clock.sleep(RETRY_MS);
      } else if (count === 0 || line[length] === LINE_FEED) {
        return checked(Buffer.from(line.subarray(0, length)));
      } else length++;
    }
    throw tooLong();
  } finally {
    line.fill(0);
  }
}

/** A number that nobody opened may be one that Node uses itself: what such a descriptor holds is no passphrase. */
function refuseOwn(descriptor: number): void {
  if (!linkOf(descriptor).startsWith('anon_inode:')) return;
  throw new ClientError('passphrase-missing', `cannot read descriptor ${descriptor}: nobody opened it`);
}

function linkOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    // Not open at all, which the first read will say.
    return '';
  }
}

function readByte(descriptor: number, into: Buffer, at: number): number | 'not-yet' {
  try {
    return readSync(descriptor, into, at, 1, null);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EAGAIN') return 'not-yet';
    if (code === 'EOF') return 0;
    throw new ClientError('passphrase-missing', `cannot read descriptor ${descriptor}: ${code ?? 'unknown'}`);
  }
}

/** @throws ClientError usage */
export function parseDescriptor(text: string | undefined, option = '--passphrase-fd'): number | undefined {
  if (text === undefined) return undefined;
  const descriptor = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (descriptor === 0 || descriptor >= 3) return descriptor;
  throw new ClientError('usage', `${option} is the number of an open descriptor: 0, or 3 and above`);
}

function tooLong(): ClientError {
  return new ClientError('passphrase-missing', `a passphrase has at most ${MOST_BYTES} bytes`);
}
