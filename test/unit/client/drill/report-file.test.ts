// A report as it is handed on, in its three forms; and what in it does not follow from what was signed.
import { describe, expect, test } from 'vitest';
import { differencesOf } from '../../../../client/drill/differences.ts';
import { DATA_OPENING } from '../../../../client/drill/html/data.ts';
import { reportPage } from '../../../../client/drill/html/page.ts';
import { parseReportFile } from '../../../../client/drill/report-file.ts';
import { parseSlo } from '../../../../client/drill/slo.ts';
import { summarize } from '../../../../client/drill/summary.ts';
import { canonicalJson } from '../../../../manifest/canonical-json.ts';
import type { Json } from '../../../../manifest/json.ts';
import type { DrillRecord, DrillSummary } from '../../../../manifest/realm/drill/report.ts';
import { signReport, verifyReport } from '../../../../manifest/realm/drill/signed-report.ts';
import { sha256 } from '../../../../manifest/tuf/metadata.ts';
import { PublicKey } from '../../../../manifest/tuf/public-key.ts';
import { imaginedRecord } from '../../../support/drill-record.ts';
import { makeSigner } from '../../../support/realm.ts';

const signer = makeSigner();
const KEYS = new Map([[signer.keyid, new PublicKey('ed25519', signer.publicHex)]]);

const record = imaginedRecord({ hosts: 2, trials: 5 });
const summary = summarize(record, [parseSlo('revoke p99 < 250ms'), parseSlo('partition p50 < 1s')]);

function sign(signed: DrillSummary): Promise<string> {
  const { keyid } = signer;
  return signReport(signed, {
    public: { keyid },
    sign: (bytes) => Promise.resolve(signer.sign(bytes)),
  });
}

const asJson = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** What differs in a file, which says this, when that was signed. */
async function found(
  said: DrillSummary,
  recorded: DrillRecord | undefined,
  signed: DrillSummary,
): Promise<readonly string[]> {
  const jws = await sign(signed);
  const file = parseReportFile(bytes(JSON.stringify({ summary: said, record: recorded, jws })));
  return differencesOf(file, verifyReport(jws, KEYS, record.realm));
}

describe('the file', () => {
  test('as JSON, as a page, and alone', async () => {
    const jws = await sign(summary);
    const document = JSON.stringify({ summary, record, jws });
    const page = reportPage(summary, record, jws);
    for (const text of [document, `\n ${document}\n`, page]) {
      const around = text === page ? { page: Buffer.from(page) } : {};
      expect(parseReportFile(bytes(text))).toEqual({
        jws,
        content: { summary: asJson(summary), record: asJson(record), ...around },
      });
    }
    expect(parseReportFile(bytes(`${jws}\n`))).toEqual({ jws });
  });

  test.for([
    ['nothing', '', 'drill-refused'],
    ['something else', 'drill', 'drill-refused'],
    ['a page without its end', `${DATA_OPENING}{}`, 'drill-refused'],
    ['a page with two drills', `${DATA_OPENING}{}</script>${DATA_OPENING}{}</script>`, 'drill-refused'],
    ['a document without a summary', '{"record":{},"jws":"a.b.c"}', 'drill-refused'],
    ['a document without a signature', '{"summary":{},"record":{}}', 'drill-refused'],
    ['a page that nobody has signed', reportPage(summary, record), 'drill-refused'],
    ['a member twice', '{"summary":{},"record":{},"jws":"","jws":"a.b.c"}', 'json-duplicate-key'],
  ] as const)('%s is none', ([_what, text, code]) => {
    expect(() => parseReportFile(bytes(text))).toThrow(expect.objectContaining({ code }));
  });
});

describe('what is in it', () => {
  test('is what was signed', async () => {
    expect(await found(summary, record, summary)).toEqual([]);
    expect(await found(summary, undefined, summary)).toEqual([]);
  });

  test('a summary that was altered, if only in the order of its members', async () => {
    const told = ['the summary in the file is not what was signed'];
    expect(await found({ ...summary, pass: !summary.pass }, record, summary)).toEqual(told);
    const { pass, ...rest } = summary;
    expect(await found({ pass, ...rest }, record, summary)).toEqual(told);
  });

  test('a record that was altered', async () => {
    const [first, ...rest] = record.trials;
    const other = { ...record, trials: [{ ...first!, at: first!.at + 1 }, ...rest] };
    const hash = sha256(canonicalJson(asJson(other)));
    expect(await found(summary, other, summary)).toEqual([
      `the record in the file has the sha256 ${hash}, signed was ${summary.recordSha256}`,
    ]);
  });

  test('figures that do not follow from the record, though they were signed', async () => {
    const { zeroToLastRead: last, ...ms } = summary.ms;
    const better = { ...summary, ms: { ...ms, zeroToLastRead: { ...last!, p99: 1.5 } }, hosts: 3 };
    expect(await found(better, record, better)).toEqual([
      `summary.hosts was signed as 3, and the record gives 2`,
      `summary.ms.zeroToLastRead.p99 was signed as 1.5, and the record gives ${last!.p99}`,
    ]);
  });

  test('a picture that its data do not give', async () => {
    const jws = await sign(summary);
    const report = verifyReport(jws, KEYS, record.realm);
    const page = reportPage(summary, record, jws);
    expect(differencesOf(parseReportFile(bytes(page)), report)).toEqual([]);
    const painted = page.replace('</main>', '<p>Passed.</p></main>');
    expect(differencesOf(parseReportFile(bytes(painted)), report)).toEqual([
      expect.stringMatching(/^the page is not the one that its data give/),
    ]);
  });

  test('a verdict, an objective and a figure that are not there', async () => {
    const { zeroToLastRead: last, ...ms } = summary.ms;
    const [first, ...others] = summary.slo;
    const signed = { ...summary, ms, slo: [{ ...first!, met: !first!.met }, ...others], pass: !summary.pass };
    expect(await found(signed, record, signed)).toEqual([
      `summary.ms.zeroToLastRead was signed as nothing, and the record gives ${JSON.stringify(last)}`,
      `summary.slo.0.met was signed as ${!first!.met}, and the record gives ${first!.met}`,
      `summary.pass was signed as ${!summary.pass}, and the record gives ${summary.pass}`,
    ]);
  });

  test('ten differences are told, and how many more there are', async () => {
    const ms = Object.fromEntries(
      Object.entries(summary.ms).map(([name, spread]) => [name, { ...spread, p50: -1 }]),
    );
    const told = await found({ ...summary, ms }, record, { ...summary, ms });
    expect(told).toHaveLength(11);
    expect(told.at(-1)).toBe(`and ${Object.keys(ms).length - 10} more figures differ`);
  });

  test('a record that is none, though its hash was signed', async () => {
    const none = { ...record, trials: [{}] } as unknown as DrillRecord;
    const signed = { ...summary, recordSha256: sha256(canonicalJson(asJson(none))) };
    await expect(found(signed, none, signed)).rejects.toMatchObject({ code: 'metadata-malformed' });
  });
});
