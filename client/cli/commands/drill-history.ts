// `lapse drill history`: the reports that the service keeps, and how the figures move from drill to drill. Of a report that
// does not verify here no figure is shown.
import type { JsonObject } from '../../../manifest/json.ts';
import { DRILL_KINDS, oneOf } from '../../../manifest/realm/drill/order.ts';
import { KEPT_LIMITS } from '../../../manifest/realm/drill/kept-report.ts';
import type { DrillSummary, Spread } from '../../../manifest/realm/drill/report.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { figureOf } from '../../drill/bound.ts';
import { sparkline } from '../../drill/sparkline.ts';
import { fixed, milliseconds } from '../../drill/words.ts';
import type { Context, Register } from '../command.ts';
import type { NameOf } from '../diff/people.ts';
import { keptReports } from '../drill-reports.ts';
import type { UnverifiedReport, VerifiedReport } from '../drill-reports.ts';
import { asUsage, parseCount } from '../options.ts';
import { columns } from '../output.ts';
import { keyNames } from '../proposal.ts';
import { Session } from '../session.ts';

interface HistoryOptions {
  readonly kind?: string;
  readonly last: string;
}

const HEADING = ['ENDED', 'KIND', 'TRIALS', 'HOSTS', 'P50', 'P99', 'MAX', 'BOUND', 'VERDICT', 'BY'];

export const registerDrillHistory: Register = (drill, run) => {
  drill
    .command('history')
    .summary('show the reports that are kept, and the trend')
    .description('Shows the reports of drills that the service keeps, each verified here.')
    .option('--kind <kind>', `only drills of one kind: ${DRILL_KINDS.join(', ')}`)
    .option('--last <number>', 'only so many, the newest', '20')
    .addHelpText(
      'after',
      `
P50, P99 and MAX are milliseconds from clock zero to the last successful read of any kind; of a partition drill, from
the cut. BOUND is what was promised, and whether the worst of all trials kept it. A report that no key of the role
drill has signed, as the role is now, is NOT VERIFIED, and its figures are not shown.

  lapse drill history
  lapse drill history --kind revoke --last 90`,
    )
    .action((options: HistoryOptions) => run((context) => history(context, options)));
};

async function history(context: Context, { kind, last: text }: HistoryOptions): Promise<void> {
  const wanted = kind === undefined ? undefined : asUsage(() => oneOf(kind, DRILL_KINDS, '--kind'));
  const last = parseCount(text, '--last', 1, KEPT_LIMITS.most);
  const session = await Session.open(context);
  const nameOf = await keyNames(context.identities);
  const isWanted = (entry: VerifiedReport | UnverifiedReport): boolean =>
    wanted === undefined || !('report' in entry) || entry.report.summary.kind === wanted;
  const found = (await keptReports(session)).filter(isWanted).slice(-last);
  const good = found.flatMap((entry) => ('report' in entry ? [entry.report.summary] : []));
  context.output.result(
    found.length > 0
      ? [...columns([HEADING, ...found.map((entry) => row(entry, nameOf))]), ...trendLines(good)]
      : ['No report of a drill is kept.'],
    { drills: found.map((entry) => json(entry, nameOf)) },
  );
}

function row(entry: VerifiedReport | UnverifiedReport, nameOf: NameOf): readonly string[] {
  if (!('report' in entry)) {
    const unknown = HEADING.slice(3).map(() => '-');
    return [formatInstant(entry.at), ...unknown, 'NOT VERIFIED', entry.why];
  }
  const { signer, summary } = entry.report;
  const { endedAt, kind, trials, hosts, bound, pass } = summary;
  const spread = judged(summary);
  return [
    formatInstant(endedAt),
    kind,
    String(trials),
    String(hosts),
    ...[spread?.p50, spread?.p99, spread?.max].map((ms) => (ms === undefined ? '-' : fixed(ms))),
    `${milliseconds(bound.promisedMs)} ${bound.met ? 'met' : 'NOT MET'}`,
    pass ? 'passed' : 'FAILED',
    nameOf(signer),
  ];
}

/** For each kind of which there are several. */
function trendLines(summaries: readonly DrillSummary[]): readonly string[] {
  return DRILL_KINDS.flatMap((kind) => {
    const values = summaries.filter((each) => each.kind === kind).map((each) => judged(each)?.p99);
    const known = values.filter((value) => value !== undefined);
    if (known.length < 2) return [];
    const [least, most] = [Math.min(...known), Math.max(...known)].map(milliseconds);
    return [`p99 of ${kind}  ${sparkline(values)}  ${least} to ${most}`];
  });
}

/** The figure by which a drill of that kind is judged; absent where nothing was measured. */
function judged({ kind, ms }: DrillSummary): Spread | undefined {
  return ms[figureOf(kind)];
}

function json(entry: VerifiedReport | UnverifiedReport, nameOf: NameOf): JsonObject {
  const { id, at } = entry;
  const kept = { id, at: formatInstant(at) };
  if (!('report' in entry)) return { ...kept, verified: false, code: entry.code, why: entry.why };
  const { signer, payload } = entry.report;
  return { ...kept, verified: true, signer, by: nameOf(signer), summary: JSON.parse(payload) as JsonObject };
}
