// A drill's report in a real browser: its policy holds and nothing in it offends, the picture is no blank, and what must be there
// is there. Needs Debian's chromium; elsewhere it is skipped.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportPage } from '../../client/drill/html/page.ts';
import { parseSlo } from '../../client/drill/slo.ts';
import { summarize } from '../../client/drill/summary.ts';
import { hasChromium, seeInBrowser } from '../support/chromium.ts';
import { imaginedRecord } from '../support/drill-record.ts';

/** A browser starts slowly where others start programs, too. */
const LONG = 120_000;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-page-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const written = (name: string, text: string): string => {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
};
const page = (): string => {
  const record = imaginedRecord({ hosts: 5, trials: 200 });
  return reportPage(summarize(record, [parseSlo('revoke p99 < 250ms')]), record);
};

test.skipIf(!hasChromium).concurrent('a report of five hosts and 200 trials', { timeout: LONG }, async () => {
  const { dom, console: said, picture } = await seeInBrowser(written('report.html', page()), 1200, 1600);
  expect(said).toEqual([]);
  expect(dom).toContain('<h1>Passed</h1>');
  expect(dom.match(/class="dots"/g)).toHaveLength(5);
  expect(dom.match(/<caption>/g)).toHaveLength(5);
  // The script has run: it shows its button.
  expect(dom).toMatch(/<button id="save" type="button" data-file="drill-revoke-\w+\.json">/);
  expect(picture).toMatchObject({ width: 1200, height: 1600 });
  expect(picture.colours).toBeGreaterThan(100);
  expect(picture.commonest).toBeGreaterThan(0.3);
  expect(picture.commonest).toBeLessThan(0.95);
});

test
  .skipIf(!hasChromium)
  .concurrent(
    'what the policy forbids is noticed here, so the silence above means something',
    { timeout: LONG },
    async () => {
      const text = page().replace(
        '<main>',
        '<main style="color: red"><img src="data:,"><script>document.title = 1</script>',
      );
      const { console: said } = await seeInBrowser(written('altered.html', text), 400, 300);
      expect(said.filter((line) => line.includes('Content Security Policy'))).toHaveLength(3);
    },
  );
