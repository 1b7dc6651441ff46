// A drill's report as people hand it on: the JSON that the command prints, the page, which embeds the same JSON, or the bare
// signature with what it signs. It is only taken apart here; nothing in it is believed.
import { ManifestError } from '../../manifest/errors.ts';
import { parseFigures } from '../../manifest/json.ts';
import type { Json } from '../../manifest/json.ts';
import { object, string } from '../../manifest/shape.ts';

/** A hundred thousand trials of one host, and the page around them. */
export const REPORT_FILE_BYTES = 256 << 20;
const VALUES = 32_000_000;

const OPENING = '<script type="application/json" id="drill-data">';
const CLOSING = '</script>';

export interface ReportFile {
  readonly jws: string;
  /** Absent where the file is the bare signature. */
  readonly content?: { readonly summary: Json; readonly record: Json };
}

/** @throws ManifestError drill-refused, json-* and the readers' codes */
export function parseReportFile(bytes: Uint8Array): ReportFile {
  if (bytes.length > REPORT_FILE_BYTES) throw refused('it is too large');
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = file.indexOf(OPENING);
  if (start >= 0) {
    const end = file.indexOf(CLOSING, start);
    if (end < 0 || file.includes(OPENING, end)) throw refused('its data is not there once, and whole');
    return readDocument(file.subarray(start + OPENING.length, end));
  }
  if (/^\s*\{/.test(file.toString('latin1', 0, 64))) return readDocument(file);
  const jws = file.toString('latin1').trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jws)) return { jws };
  throw refused('it is neither JSON, nor a page with a drill in it, nor a signed report');
}

function readDocument(bytes: Uint8Array): ReportFile {
  const raw = object(parseFigures(bytes, REPORT_FILE_BYTES, VALUES), 'report');
  const { summary, record } = raw;
  if (summary === undefined || record === undefined) throw refused('its summary or its record is missing');
  return { jws: string(raw['jws'], 'report.jws'), content: { summary, record } };
}

function refused(why: string): ManifestError {
  return new ManifestError('drill-refused', `this is no report of a drill: ${why}`);
}
