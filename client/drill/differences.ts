// Whether a report's file holds together: what it says is what was signed, the record in it is the one whose hash was signed,
// and the figures follow from that record. A page must be the one that they give, since people look at the picture and not at its
// data. Each difference is told by its place.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { Json } from '../../manifest/json.ts';
import { readRecord } from '../../manifest/realm/drill/read-record.ts';
import type { DrillRecord, DrillSummary } from '../../manifest/realm/drill/report.ts';
import type { SignedReport } from '../../manifest/realm/drill/signed-report.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import { reportPage } from './html/page.ts';
import type { ReportFile } from './report-file.ts';
import { parseSlo } from './slo.ts';
import { summarize } from './summary.ts';

/** Differences that are told; there may be as many as there are figures. */
const TOLD = 10;

const OTHER_PAGE =
  'the page is not the one that its data give: it was altered, or drawn by another version of lapse (the data alone can be saved from it, and verified)';

/**
 * In words; empty where there is none.
 * @throws LapseError: what was signed for the record is none, or holds times that are no whole numbers
 */
export function differencesOf(
  { jws, content }: ReportFile,
  { payload, summary }: SignedReport,
): readonly string[] {
  if (!content) return [];
  const { summary: said, record, page } = content;
  const told = JSON.stringify(said) === payload ? [] : ['the summary in the file is not what was signed'];
  if (record === undefined) return told;
  const hash = sha256(canonicalJson(record));
  if (hash !== summary.recordSha256) {
    return [...told, `the record in the file has the sha256 ${hash}, signed was ${summary.recordSha256}`];
  }
  const slos = summary.slo.map(({ text }) => parseSlo(text));
  const computed = JSON.parse(JSON.stringify(summarize(readRecord(record), slos))) as Json;
  const all = differing(JSON.parse(payload) as Json, computed, 'summary');
  const more = all.length - TOLD;
  const figures = [...all.slice(0, TOLD), ...(more > 0 ? [`and ${more} more figures differ`] : [])];
  return [...told, ...figures, ...(page && !isDrawn(page, payload, record, jws) ? [OTHER_PAGE] : [])];
}

/** Both were read before, and are drawn as they stand: readers may have put their members into another order. */
function isDrawn(page: Buffer, payload: string, record: Json, jws: string): boolean {
  const summary = JSON.parse(payload) as DrillSummary;
  return page.equals(Buffer.from(reportPage(summary, record as unknown as DrillRecord, jws)));
}

function differing(signed: Json | undefined, computed: Json | undefined, where: string): readonly string[] {
  if (isParent(signed) && isParent(computed)) {
    const names = new Set([...Object.keys(signed), ...Object.keys(computed)]);
    return [...names].flatMap((name) =>
      differing(member(signed, name), member(computed, name), `${where}.${name}`),
    );
  }
  const [was, is] = [signed, computed].map((value) =>
    value === undefined ? 'nothing' : JSON.stringify(value),
  );
  return was === is ? [] : [`${where} was signed as ${was}, and the record gives ${is}`];
}

type Parent = Exclude<Json, null | boolean | number | string>;

function isParent(value: Json | undefined): value is Parent {
  return typeof value === 'object' && value !== null;
}

function member(parent: Parent, name: string): Json | undefined {
  return Object.hasOwn(parent, name) ? (parent as Readonly<Record<string, Json>>)[name] : undefined;
}
