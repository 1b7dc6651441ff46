// What an objective may say, and that everything else is refused with the grammar.
import { expect, test } from 'vitest';
import { parseSlo } from '../../../../client/drill/slo.ts';

test.for([
  ['revoke p99 < 250ms', 'zeroToLastRead', 'p99', 250],
  ['rotate p99.9<1s', 'zeroToLastRead', 'p999', 1000],
  ['  partition   max < 3.5s ', 'cutToLastRead', 'max', 3500],
  ['verifiedToInvalidated p99 < 2ms', 'verifiedToInvalidated', 'p99', 2],
  ['zeroToLastRead.held p50 < 800us', 'zeroToLastRead.held', 'p50', 0.8],
  ['zeroToReceiptStored p90 < 1m', 'zeroToReceiptStored', 'p90', 60_000],
] as const)('%s', ([text, figure, percentile, belowMs]) => {
  expect(parseSlo(text)).toMatchObject({ figure, percentile, belowMs });
});

test('its text is what was given, in one form', () => {
  expect(parseSlo('  revoke\tp99<250ms').text).toBe('revoke p99 < 250ms');
});

test.for([
  '',
  'revoke',
  'revoke p99',
  'revoke p99 250ms',
  'revoke p99 > 250ms',
  'revoke p99 <= 250ms',
  'revoke p95 < 250ms',
  'revoke p999 < 250ms',
  'Revoke p99 < 250ms',
  'revoke p99 < 250',
  'revoke p99 < -1ms',
  'revoke p99 < 0ms',
  'revoke p99 < 1e3ms',
  'revoke p99 < 250 h',
  'zeroToLastRead.sideways p99 < 1ms',
  'constructor p99 < 1ms',
  'revoke constructor < 1ms',
  `revoke p99 < 250ms${' '.repeat(100)}`,
])('refused: %j', (text) => {
  expect(() => parseSlo(text)).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: expect.stringContaining('WHAT PERCENTILE < TIME') as unknown,
    }) as Error,
  );
});
