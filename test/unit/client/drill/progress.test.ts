// The one line of a drill that goes on: only on a terminal, and never between the lines of its result.
import { expect, test } from 'vitest';
import { Progress } from '../../../../client/cli/drill/progress.ts';
import { Output } from '../../../../client/cli/output.ts';
import { imaginedRecord } from '../../../support/drill-record.ts';

function told(isTTY: boolean, json = false): string {
  let text = '';
  const stderr = { isTTY, write: (more: string) => void (text += more) };
  {
    using progress = new Progress(new Output(json, { stdout: stderr, stderr }), 'revoke');
    progress.tell('warming up, 1 of 3');
    progress.tell('trial 1 of 20', imaginedRecord({ hosts: 2, trials: 1 }).trials[0]!.hosts);
  }
  return text;
}

test('each line replaces the one before it, and the last one goes away', () => {
  const [before, first, second, last] = told(true).split('\r\x1b[2K');
  expect([before, first, last]).toEqual(['', 'Drill revoke: warming up, 1 of 3', '']);
  expect(second).toMatch(/^Drill revoke: trial 1 of 20; last read p50 [\d.]+ ms, p99 [\d.]+ ms$/);
});

test('nothing where nobody watches', () => {
  expect([told(false), told(true, true)]).toEqual(['', '']);
});
