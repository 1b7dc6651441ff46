// What the command prints. For people: sentences and columns on stdout. With --json: exactly one JSON document on
// stdout. Errors go to stderr, in both cases with their stable code. Never a value, never a key.
import { isLapseError } from '../../manifest/errors.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { ClientError } from '../errors.ts';

/** 3, 4 and 5 are kept for receipts and signatures that are still awaited. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export class Output {
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** The one result of a command, for a person or for a program. */
  result(lines: readonly string[], json: JsonObject): void {
    process.stdout.write(
      this.#json ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join(''),
    );
  }

  /** Prints why the command failed and returns its exit code. */
  failure(error: unknown): number {
    const code = isLapseError(error) ? error.code : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      this.#json ? `${JSON.stringify({ error: { code, message } })}\n` : `lapse: ${message} [${code}]\n`,
    );
    return error instanceof ClientError && ['usage', 'not-confirmed', 'value-missing'].includes(error.code)
      ? EXIT.usage
      : EXIT.failed;
  }
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
