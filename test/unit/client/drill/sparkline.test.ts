// The trend in one line: bars in proportion, from zero.
import { expect, test } from 'vitest';
import { sparkline } from '../../../../client/drill/sparkline.ts';

test.for([
  [[1, 2, 3, 4, 5, 6, 7, 8], '▁▂▃▄▅▆▇█'],
  [[100, 50, 0.001, 100], '█▄▁█'],
  [[5, 5], '██'],
  [[0, 0], '▁▁'],
  [[undefined, 4, undefined], ' █ '],
  [[], ''],
] as const)('%j: %s', ([values, line]) => {
  expect(sparkline(values)).toBe(line);
});
