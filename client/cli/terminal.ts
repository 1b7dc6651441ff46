// Asks the person at the terminal for something that must not be seen: on /dev/tty, whatever standard input is, and
// without echo. Keys arrive as bytes and stay in Buffers.
import { openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';

const CONTROL_C = 0x03;
const CONTROL_D = 0x04;
const BACKSPACE = 0x7f;
const CONTROL_H = 0x08;
const CONTROL_U = 0x15;
const ENTER = 0x0d;
const LINE_FEED = 0x0a;

/** What was typed, without the line's end; or why there is nothing: Ctrl-C or Ctrl-D, or more than the limit. */
export type Typed = Buffer | 'given-up' | 'too-long';

/**
 * Prints the question and reads one line of at most `most` bytes; the caller zeroes it. Undefined without a terminal.
 */
export async function askHidden(question: string, most: number): Promise<Typed | undefined> {
  const descriptor = openTerminal();
  if (descriptor === undefined) return undefined;
  const terminal = new ReadStream(descriptor);
  try {
    terminal.setRawMode(true);
    writeSync(descriptor, question);
    const typed = await readLine(terminal, most);
    terminal.setRawMode(false);
    writeSync(descriptor, '\n');
    return typed;
  } finally {
    terminal.destroy();
  }
}

async function readLine(terminal: ReadStream, most: number): Promise<Typed> {
  using line = new HiddenLine(most);
  const { promise, resolve, reject } = Promise.withResolvers<Typed>();
  terminal.on('data', (chunk: Buffer) => {
    const typed = line.take(chunk);
    chunk.fill(0);
    if (typed) resolve(typed);
  });
  terminal.once('end', () => resolve('given-up'));
  terminal.once('error', reject);
  return await promise;
}

function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', 'r+');
  } catch {
    return undefined;
  }
}

/** Raw mode hands over keys, not lines: Enter ends, Backspace takes back a character, Ctrl-U all of them. */
export class HiddenLine implements Disposable {
  readonly #bytes: Buffer;
  #length = 0;

  constructor(most: number) {
    this.#bytes = Buffer.alloc(most);
  }

  /** What was typed, once it is complete. */
  take(keys: Uint8Array): Typed | undefined {
    for (const key of keys) {
      switch (key) {
        case ENTER:
        case LINE_FEED:
          return Buffer.from(this.#bytes.subarray(0, this.#length));
        case CONTROL_C:
        case CONTROL_D:
          return 'given-up';
        case CONTROL_U:
          this.#length = 0;
          break;
        case BACKSPACE:
        case CONTROL_H:
          this.#dropCharacter();
          break;
        default:
          if (this.#length === this.#bytes.length) return 'too-long';
          this.#bytes[this.#length++] = key;
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
  }

  /** A character of UTF-8: its continuation bytes, then the byte that begins it. */
  #dropCharacter(): void {
    const isContinuation = (): boolean => ((this.#bytes[this.#length - 1] ?? 0) & 0xc0) === 0x80;
    while (this.#length > 1 && isContinuation()) this.#length--;
    this.#length = Math.max(0, this.#length - 1);
  }
}
