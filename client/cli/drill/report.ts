// What a drill leaves behind: a table or a JSON document, files for a browser and for CI, the signed report that the service
// keeps, and the exit code. The files are opened before the drill begins, so that nobody learns at its end that they cannot be written. Nothing in them is secret.
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isLapseError } from '../../../manifest/errors.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { DRILL } from '../../../manifest/realm/drill/order.ts';
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { signReport } from '../../../manifest/realm/drill/signed-report.ts';
import { checksOf } from '../../drill/checks.ts';
import { reportPage } from '../../drill/html/page.ts';
import { junitReport } from '../../drill/junit.ts';
import { summarize } from '../../drill/summary.ts';
import { tableLines } from '../../drill/table.ts';
import { ClientError } from '../../errors.ts';
import type { Context } from '../command.ts';
import { listed } from '../confirmation.ts';
import type { Session } from '../session.ts';
import type { DrillPlan } from './plan.ts';

type Rendering = (summary: DrillSummary, record: DrillRecord, jws: string) => string;

interface ReportFile {
  readonly path: string;
  readonly file: FileHandle;
  readonly render: Rendering;
}

export class DrillReport implements AsyncDisposable {
  readonly #plan: DrillPlan;
  readonly #files: readonly ReportFile[];

  private constructor(plan: DrillPlan, files: readonly ReportFile[]) {
    this.#plan = plan;
    this.#files = files;
  }

  /** @throws ClientError report-unwritable */
  static async open(plan: DrillPlan): Promise<DrillReport> {
    const wanted: readonly (readonly [path: string | undefined, render: Rendering])[] = [
      [plan.report, reportPage],
      [plan.junit, junitReport],
    ];
    const files: ReportFile[] = [];
    for (const [path, render] of wanted) {
      if (path !== undefined) files.push({ path, render, file: await openFile(path) });
    }
    return new DrillReport(plan, files);
  }

  /** @throws ClientError drill-aborted, drill-silent, drill-unmet, report-unwritable */
  async tell({ output }: Context, session: Session, record: DrillRecord): Promise<void> {
    const summary = summarize(record, this.#plan.slos);
    const [signer] = await session.signers(DRILL);
    if (!signer) throw new ClientError('signatures-missing', 'nobody who signs drills is at hand');
    const jws = await signReport(summary, signer);
    for (const { path, file, render } of this.#files) {
      await file.writeFile(render(summary, record, jws)).catch((cause: unknown) => {
        throw unwritable(path, cause);
      });
    }
    const kept = record.trials.length > 0 && (await isKept(session, jws, output));
    output.result(tableLines(summary, record), { summary, record, jws, kept } as unknown as JsonObject);
    const failure = failureOf(summary, record);
    if (failure) throw failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.#files) await file.close();
  }
}

/** Why the exit code is not 0. */
function failureOf(summary: DrillSummary, record: DrillRecord): ClientError | undefined {
  if (record.aborted) return new ClientError('drill-aborted', 'the drill was broken off');
  const others = record.participants.filter(({ state }) => state !== 'took-part');
  const who = listed(others.map(({ host, code }) => `${host} (${code ?? 'silent'})`));
  if (record.trials.length === 0) return new ClientError('drill-silent', `no host took part: ${who}`);
  if (summary.pass) return undefined;
  const { silent, readsAfterEffect, readsAfterReceipt, bound, slo } = summary;
  const isMet = readsAfterEffect + readsAfterReceipt === 0 && bound.met && slo.every(({ met }) => met);
  if (isMet && silent.length > 0) return new ClientError('drill-silent', `no answer from ${listed(silent)}`);
  const { pass: _pass, ...figures } = summary;
  const failed = checksOf(record, figures).filter(({ passed }) => !passed);
  return new ClientError('drill-unmet', failed.map(({ name, found }) => `${name}: ${found}`).join('; '));
}

/** A service that cannot be reached takes nothing away from the report: whoever has it can check it all the same. */
async function isKept({ transport }: Session, jws: string, output: Context['output']): Promise<boolean> {
  try {
    await transport.postDrill(jws);
    return true;
  } catch (error) {
    if (!isLapseError(error)) throw error;
    output.progress(`The service does not keep the report: ${error.message}`);
    return false;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w', 0o644);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): ClientError {
  return new ClientError('report-unwritable', `cannot write ${path}`, { cause });
}
