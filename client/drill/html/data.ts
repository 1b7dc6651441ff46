// The data in the page: summary, record and signature as JSON that a browser does not run, and that cannot end its own element.
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';

/** A page that is larger opens slowly, and nobody can mail it. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Where they stand; they go as far as the end of a script. */
export const DATA_OPENING = '<script type="application/json" id="data">';
export const DATA_CLOSING = '</script>';

export interface PageData {
  readonly json: string;
  /** Whether the record is in it. */
  readonly isWhole: boolean;
}

export function pageData(summary: DrillSummary, record: DrillRecord, jws: string | undefined): PageData {
  const whole = JSON.stringify({ summary, record, jws });
  const isWhole = Buffer.byteLength(whole) <= MOST_BYTES;
  const json = isWhole ? whole : JSON.stringify({ summary, jws });
  // In JSON, `<` is found in strings alone.
  return { json: json.replaceAll('<', '\\u003c'), isWhole };
}
