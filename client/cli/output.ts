// What the command prints. For people: sentences and columns on stdout. With --json: exactly one JSON document on
// stdout. Errors go to stderr, in both cases with their stable code. Never a value, never a key. What others wrote (hosts,
// the service, a reason) cannot steer the terminal.
import { isLapseError } from '../../manifest/errors.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { ClientError } from '../errors.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Published; a host is unconfirmed, and serves nothing any more, because its lease is over. */
  leaseOver: 3,
  /** Nothing is published: signatures of others are needed, and where one was given here, the change waits for them. */
  awaitingSignatures: 4,
  /** Published; a host is unconfirmed, and may still serve. Or a host was silent in a drill. */
  unconfirmed: 5,
  /** A drill was made, and did not show what was promised or asked for. */
  unmet: 6,
  interrupted: 130,
} as const;

const EXIT_OF: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  'not-confirmed': EXIT.usage,
  'value-missing': EXIT.usage,
  'passphrase-missing': EXIT.usage,
  'lease-over': EXIT.leaseOver,
  'signatures-missing': EXIT.awaitingSignatures,
  unconfirmed: EXIT.unconfirmed,
  'drill-silent': EXIT.unconfirmed,
  'drill-unmet': EXIT.unmet,
  'drill-aborted': EXIT.interrupted,
};

/** Where the two streams lead; the shell collects them to add the exit code. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

export class Output {
  readonly isJson: boolean;
  readonly #streams: Streams;

  constructor(json: boolean, streams: Streams = process) {
    this.isJson = json;
    this.#streams = streams;
  }

  /** The one result of a command, for a person or for a program. */
  result(lines: readonly string[], json: JsonObject): void {
    this.#streams.stdout.write(
      this.isJson ? `${JSON.stringify(json)}\n` : lines.map((line) => `${plain(line)}\n`).join(''),
    );
  }

  /** An invitation: what is made to be shown is no secret of this process any more. */
  secretLine(member: string, line: Buffer, json: JsonObject): void {
    const text = line.toString('latin1');
    this.result([text], { [member]: text, ...json });
  }

  /** For a person: a part of the result that is there before the rest is. */
  early(...lines: readonly string[]): void {
    if (!this.isJson && lines.length > 0) this.result(lines, {});
  }

  /** For a person who waits, or is about to be asked: on stderr, since it is no result. */
  progress(...lines: readonly string[]): void {
    if (!this.isJson) this.#streams.stderr.write(lines.map((line) => `${plain(line)}\n`).join(''));
  }

  /** For a person who watches a terminal: one line, which the next one replaces; an empty one goes away. */
  live(line: string): void {
    const { stderr } = this.#streams;
    if (!this.isJson && stderr.isTTY === true) stderr.write(`\r\x1b[2K${plain(line)}`);
  }

  /** Prints why the command failed and returns its exit code. */
  failure(error: unknown): number {
    const code = isLapseError(error) ? error.code : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    const pending =
      error instanceof ClientError && error.pending !== undefined ? { pending: error.pending } : {};
    this.#streams.stderr.write(
      this.isJson
        ? `${JSON.stringify({ error: { code, message, ...pending } })}\n`
        : `lapse: ${plain(message)} [${code}]\n`,
    );
    return EXIT_OF[code] ?? EXIT.failed;
  }
}

/** Without control characters, and without those that turn the direction of writing. */
function plain(line: string): string {
  return line.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '?');
}

/** Rows as aligned columns, the first row being the heading. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `1 host`, `2 hosts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
