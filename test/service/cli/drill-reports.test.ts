// What `lapse drill history` and `lapse drill verify` say, with the real programs and reports of drills that never were: each is
// verified here, by the keys of now, whatever the service keeps or says.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportPage } from '../../../client/drill/html/page.ts';
import { summarize } from '../../../client/drill/summary.ts';
import { parseSlo } from '../../../client/drill/slo.ts';
import { fixed } from '../../../client/drill/words.ts';
import { readIdentityFile } from '../../../client/identity/identity-file.ts';
import { holdIdentity } from '../../../client/identity/identity.ts';
import type { Identity } from '../../../client/identity/identity.ts';
import { parseRealmId } from '../../../manifest/names.ts';
import type { DrillKind } from '../../../manifest/realm/drill/order.ts';
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { signReport } from '../../../manifest/realm/drill/signed-report.ts';
import { Stage } from '../../support/cli-stage.ts';
import { imaginedRecord } from '../../support/drill-record.ts';

const HOUR = 3_600_000;

let stage: Stage;
let operator: Identity;
let realm: string;

beforeAll(async () => {
  stage = await Stage.make();
  await stage.run('lapse init --service $URL --no-passphrase');
  await stage.ask('drill enable');
  ({ realm } = JSON.parse(await stage.run('lapse --json status')) as { realm: string });
  const file = await readIdentityFile(join(stage.directory, 'operator/identities/operator.identity'));
  operator = holdIdentity('operator', await file.open(Buffer.alloc(0)));
}, 120_000);

afterAll(() => stage[Symbol.asyncDispose]());

interface Made {
  readonly record: DrillRecord;
  readonly summary: DrillSummary;
  readonly jws: string;
}

/** The drill of a night, `number` nights after the first. */
async function drill(number: number, kind: DrillKind = 'revoke'): Promise<Made> {
  const moved = Date.UTC(2026, 9, number, 3, 17);
  const imagined = imaginedRecord({ kind, hosts: 2, trials: 4, seed: number });
  const record = {
    ...imagined,
    realm: parseRealmId(realm),
    drill: number.toString(16).padStart(32, '0'),
    startedAt: moved,
    endedAt: moved + 2 * HOUR,
  };
  const summary = summarize(record, [parseSlo('revoke p99 < 1s')]);
  return { record, summary, jws: await signReport(summary, operator) };
}

async function post(jws: string): Promise<number> {
  const headers = { 'content-type': 'application/json' };
  const posted = { method: 'POST', headers, body: JSON.stringify({ jws }) };
  return (await fetch(`${stage.env['URL']}/v1/drills`, posted)).status;
}

function write(name: string, text: string): void {
  writeFileSync(join(stage.directory, name), text);
}

test('nothing is kept yet, and words that are none', async () => {
  expect(await stage.ask('drill history')).toBe('No report of a drill is kept.');
  expect(await stage.ask('drill history --kind rehearse')).toMatch(
    /one of revoke, .* expected \[usage\]\n\[exit 2\]$/,
  );
  expect(await stage.ask('drill history --last 0')).toMatch(/\[usage\]\n\[exit 2\]$/);
  expect(await stage.ask('drill verify nowhere.json')).toMatch(
    /cannot read nowhere.json \[value-unreadable\]/,
  );
});

test('the trend: what was measured, by whom, and whether the bound was kept', async () => {
  const made = [await drill(1), await drill(2), await drill(3, 'partition')];
  // The order in which they come says nothing; a second try of this test finds them there.
  for (const { jws } of made.toReversed()) expect([201, 409]).toContain(await post(jws));
  const cells = ({ ms, bound, pass }: DrillSummary, figure: string): string => {
    const { p50, p99, max } = ms[figure]!;
    const figures = [p50, p99, max].map(fixed).join(' +');
    return `${figures} +\\S+ s ${bound.met ? 'met' : 'NOT MET'} +${pass ? 'passed' : 'FAILED'} +operator`;
  };
  const [first, second, third] = made.map(({ summary }) => summary);
  const lines = [
    'ENDED +KIND +TRIALS +HOSTS +P50 +P99 +MAX +BOUND +VERDICT +BY',
    `2026-10-01T05:17:00Z +revoke +4 +2 +${cells(first!, 'zeroToLastRead')}`,
    `2026-10-02T05:17:00Z +revoke +4 +2 +${cells(second!, 'zeroToLastRead')}`,
    `2026-10-03T05:17:00Z +partition +4 +2 +${cells(third!, 'cutToLastRead')}`,
    'p99 of revoke  [▁-█]{2}  \\S+ ms to \\S+ ms',
  ];
  expect(await stage.ask('drill history')).toMatch(new RegExp(`^${lines.join('\\n')}$`));
  expect((await stage.ask('drill history --kind revoke --last 1')).split('\n').slice(1)).toEqual([
    expect.stringContaining('2026-10-02T05:17:00Z'),
  ]);
  const { drills } = JSON.parse(await stage.run('lapse --json drill history --kind partition')) as {
    drills: unknown[];
  };
  expect(drills).toEqual([
    expect.objectContaining({
      verified: true,
      by: 'operator',
      signer: operator.public.keyid,
      summary: third,
    }),
  ]);
});

test('a report in each of its forms holds; what was altered is named', async () => {
  const { summary, record, jws } = await drill(4);
  const whole = `Drill revoke ${summary.drill}, ended 2026-10-04T05:17:00Z: 4 trials, 2 hosts, ${summary.pass ? 'passed' : 'FAILED'}.
Signed by operator, who may order drills.
`;
  const same =
    'The summary is what was signed, the record is the one that it was computed from, and gives the same figures.';
  write('drill.json', `${JSON.stringify({ summary, record, jws })}\n`);
  write('drill.html', reportPage(summary, record, jws));
  write('drill.jws', jws);
  expect(await stage.ask('drill verify drill.json')).toBe(whole + same);
  expect(await stage.ask('drill verify drill.html')).toBe(whole + same);
  expect(await stage.ask('drill verify drill.jws')).toContain(`${whole}The record is not in this file`);
  write('verdict.json', JSON.stringify({ summary: { ...summary, pass: !summary.pass }, record, jws }));
  expect(await stage.ask('drill verify verdict.json')).toBe(
    'lapse: verdict.json is not what was signed: the summary in the file is not what was signed [drill-mismatch]\n[exit 1]',
  );
  write('record.json', JSON.stringify({ summary, record: { ...record, aborted: true }, jws }));
  expect(await stage.ask('drill verify record.json')).toMatch(
    new RegExp(
      `the record in the file has the sha256 [0-9a-f]{64}, signed was ${summary.recordSha256} \\[drill-mismatch\\]`,
    ),
  );
  const better = { ...summary, attemptsAfter: 7 };
  write('figure.json', JSON.stringify({ summary: better, record, jws: await signReport(better, operator) }));
  expect(await stage.ask('drill verify figure.json')).toContain(
    `summary.attemptsAfter was signed as 7, and the record gives ${summary.attemptsAfter} [drill-mismatch]`,
  );
  write('signature.jws', jws.replace(/.{4}$/, 'AAAA'));
  expect(await stage.ask('drill verify signature.jws')).toMatch(
    /its signature is wrong \[drill-refused\]\n\[exit 1\]$/,
  );
});

test('a service that tells a drill twice, or tells of one that nobody ordered, is not believed', async () => {
  const [one, other] = [await drill(5), await drill(6)];
  const forged = other.jws.replace(/.{4}$/, 'AAAA');
  const drills = [one.jws, forged, one.jws].map((jws, i) => ({
    id: i + 1,
    jws,
    at: Date.UTC(2026, 9, 7 + i),
  }));
  const said = await behindALiar({ drills, last: 3 }, 'lapse drill history');
  expect(said.split('\n').slice(1)).toEqual([
    expect.stringMatching(/^2026-10-05T05:17:00Z +revoke .* operator$/),
    expect.stringMatching(
      /^2026-10-08T00:00:00Z +- .* NOT VERIFIED  a drill's report was refused: its signature is wrong$/,
    ),
    expect.stringMatching(/^2026-10-09T00:00:00Z +- .* NOT VERIFIED  the same drill once more$/),
  ]);
});

test('what was signed by a key that has left does not verify, but by its name', async () => {
  const { jws, summary } = await drill(8);
  write('old.jws', jws);
  await stage.ask('identity create bob --no-passphrase');
  expect(await stage.ask('namespace set drill --signer bob')).toContain('Namespace drill has new terms');
  const { keyid, signing } = operator.public;
  expect(await stage.ask('drill verify old.jws')).toBe(
    `lapse: the report is signed by the key ${keyid}, which may not order drills (any more); if you know whose it is, name it: --key HEX [drill-refused]\n[exit 1]`,
  );
  const named = new RegExp(
    `^Drill revoke ${summary.drill}, .*\nSigned by operator, the key that you named.\n`,
  );
  expect(await stage.ask(`drill verify old.jws --key ${signing}`)).toMatch(named);
  expect(await stage.ask('drill verify old.jws --key operator')).toMatch(named);
  expect(await stage.ask('drill verify old.jws --key bob')).toMatch(
    /is not the one that you named \[drill-refused\]/,
  );
  const lines = (await stage.ask('drill history')).split('\n').slice(1);
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toMatch(/- +NOT VERIFIED  .*the role drill has no such key$/);
  expect(await post(jws)).toBe(422);
});

/** What a command says when the service answers `GET /v1/drills` with that. */
async function behindALiar(drills: object, command: string): Promise<string> {
  const liar = createServer((asked, answer) => {
    if (asked.url?.startsWith('/v1/drills')) return void answer.end(JSON.stringify(drills));
    fetch(`${stage.env['URL']}${asked.url}`)
      .then(async (got) => answer.writeHead(got.status).end(await got.bytes()))
      .catch(() => answer.destroy());
  });
  liar.listen(0, '127.0.0.1');
  await once(liar, 'listening');
  const file = join(stage.directory, 'operator/realm.json');
  const before = readFileSync(file, 'utf8');
  const { port } = liar.address() as AddressInfo;
  writeFileSync(file, before.replace(stage.env['URL']!, `http://127.0.0.1:${port}`));
  try {
    return await stage.run(command);
  } finally {
    writeFileSync(file, before);
    liar.closeAllConnections();
    liar.close();
  }
}
