// A drill's report as people hand it on: the JSON that the command prints, the page, which embeds the same JSON, or the bare
// signature with what it signs. It is only taken apart here; nothing in it is believed.
import { ManifestError } from '../../manifest/errors.ts';
import { parseFigures } from '../../manifest/json.ts';
import type { Json } from '../../manifest/json.ts';
import { object, string } from '../../manifest/shape.ts';
import { DATA_CLOSING, DATA_OPENING } from './html/data.ts';

/** A hundred thousand trials of one host, and the page around them. */
export const REPORT_FILE_BYTES = 256 << 20;
const VALUES = 32_000_000;

export interface ReportFile {
  readonly jws: string;
  /** Absent where the file is the bare signature. */
  readonly content?: ReportContent;
}

export interface ReportContent {
  readonly summary: Json;
  /** A page is without a record that is too large for it. */
  readonly record?: Json;
  /** The whole page around them, if it is one. */
  readonly page?: Buffer;
}

/** @throws ManifestError drill-refused, json-* and the readers' codes */
export function parseReportFile(bytes: Uint8Array): ReportFile {
  if (bytes.length > REPORT_FILE_BYTES) throw refused('it is too large');
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = file.indexOf(DATA_OPENING);
  if (start >= 0) {
    const end = file.indexOf(DATA_CLOSING, start);
    if (end < 0 || file.includes(DATA_OPENING, end)) throw refused('its data is not there once, and whole');
    return readDocument(file.subarray(start + DATA_OPENING.length, end), file);
  }
  if (/^\s*\{/.test(file.toString('latin1', 0, 64))) return readDocument(file);
  const jws = file.toString('latin1').trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jws)) return { jws };
  throw refused('it is neither JSON, nor a page with a drill in it, nor a signed report');
}

function readDocument(bytes: Uint8Array, page?: Buffer): ReportFile {
  const raw = object(parseFigures(bytes, REPORT_FILE_BYTES, VALUES), 'report');
  const { summary, record, jws } = raw;
  if (summary === undefined) throw refused('it has no summary');
  if (jws === undefined) throw refused('nobody has signed it');
  return {
    jws: string(jws, 'report.jws'),
    content: { summary, ...(record === undefined ? {} : { record }), ...(page ? { page } : {}) },
  };
}

function refused(why: string): ManifestError {
  return new ManifestError('drill-refused', `this is no report of a drill: ${why}`);
}
