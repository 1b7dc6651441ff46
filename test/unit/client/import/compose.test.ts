// The secrets of a Compose file, read as an import: what is taken, what is left aside, and which files are refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readComposeFile } from '../../../../client/cli/import/compose.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-compose-'));
  writeFileSync(join(directory, 'value'), 'x');
  writeFileSync(join(directory, 'empty'), '');
});

afterAll(() => rmSync(directory, { recursive: true }));

function read(text: string) {
  const path = join(directory, 'compose.yaml');
  writeFileSync(path, text);
  return readComposeFile(path);
}

/** The grants of the secret `a`, to the service `web`, for one entry of its list. */
async function granted(entry: string) {
  const { found } = await read(`secrets: {a: {file: value}}\nservices: {web: {secrets: [${entry}]}}`);
  return found[0]?.grants.map(({ file, uid, gid, mode }) => [file, uid, gid, mode.toString(8)].join());
}

test.for([
  ['a', 'a,0,0,444'],
  ['{source: a}', 'a,0,0,444'],
  ['{source: a, target: b}', 'b,0,0,444'],
  ['{source: a, target: /run/secrets/c}', 'c,0,0,444'],
  ['{source: a, uid: 5, gid: "6", mode: 0400}', 'a,5,6,400'],
  ['{source: a, mode: "0440"}', 'a,0,0,440'],
  ['{source: a, mode: 0o440}', 'a,0,0,440'],
] as const)('%s', async ([entry, expected]) => {
  expect(await granted(entry)).toEqual([expected]);
});

test('anchors and merged services are followed', async () => {
  const { found } = await read(
    'x-common: &c {secrets: [a]}\nservices: {web: {<<: *c}, job: {<<: *c}, bare: {}, none: }\nsecrets: {a: {file: value}}',
  );
  expect(found[0]?.grants.map(({ workload }) => workload)).toEqual(['web', 'job']);
});

test('what comes from no file is left aside, and a file without secrets has none', async () => {
  const { skipped } = await read(
    'secrets: {a: {file: empty}, b: {environment: B}, c: {external: true}, d: }',
  );
  expect(skipped.map((why) => why[0])).toEqual(['a', 'b', 'c', 'd']);
  expect((await read('services: {web: {image: x}}')).found).toEqual([]);
});

test.for([
  ['secrets: [a]', 'a mapping'],
  ['- a', 'a mapping'],
  ['', 'a mapping'],
  ['secrets: {a: {file: value}}\nservices: {web: {secrets: a}}', 'a list'],
  ['secrets: {a: {file: value}}\nservices: {web: {secrets: [{source: a, mode: 0600}]}}', 'a mode'],
  ['secrets: {a: {file: value}}\nservices: {web: {secrets: [{source: a, target: ..}]}}', 'file name'],
  ['secrets: {a b: {file: value}}', 'secret name'],
  ['secrets: {a: {file: value}}\nservices: {web: {secrets: [a, a]}}', 'twice'],
  ['[', 'Flow sequence'],
] as const)('%j is refused: %s', async ([text, why]) => {
  await expect(read(text)).rejects.toMatchObject({
    code: 'import-malformed',
    message: expect.stringContaining(why) as string,
  });
});

test.for([
  ['[[[[…', '['.repeat(100_000)],
  ['one a line', '[\n'.repeat(60_000)],
  ['{{{{…', '{a: '.repeat(25_000)],
  ['- - - …', '- '.repeat(60_000)],
  ['? ? ? …', '? '.repeat(60_000)],
  ['ever deeper', Array.from({ length: 400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ['many keys', 'a:\n'.repeat(43_000)],
  ['many anchors', Array.from({ length: 8000 }, (_, i) => `a${i}: &a${i} x`).join('\n')],
] as const)('what is made to take for ever takes no time: %s', async ([, text]) => {
  const began = process.cpuUsage();
  await read(text).then(
    ({ found }) => expect(found).toEqual([]),
    (error: unknown) => expect(error).toMatchObject({ code: 'import-malformed' }),
  );
  expect(process.cpuUsage(began).user / 1e6, 'seconds').toBeLessThan(5);
});
