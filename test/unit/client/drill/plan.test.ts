// What the options of a drill mean, and the order that they make.
import { describe, expect, test } from 'vitest';
import { groupsOf, newOrder, parsePlan, stepMs } from '../../../../client/cli/drill/plan.ts';
import type { DrillOptions } from '../../../../client/cli/drill/plan.ts';
import { parseHostName } from '../../../../manifest/names.ts';
import { DRILL_KINDS, orderJson, readOrder } from '../../../../manifest/realm/drill/order.ts';
import type { DrillKind } from '../../../../manifest/realm/drill/order.ts';

/** As the help says. */
const DEFAULTS: DrillOptions = { trials: '20', warmUp: '3', share: '100%', settle: '25ms' };
const CRASH = { victims: 'server,holder', means: 'kill,stop', within: '1s' };
const plan = (options: Partial<DrillOptions> = {}, kind: DrillKind = 'revoke') =>
  parsePlan(kind, { ...DEFAULTS, ...(kind === 'crash' && CRASH), ...options });
const names = (count: number) => Array.from({ length: count }, (_, i) => parseHostName(`web-${i + 1}`));

test('what is not given', () => {
  expect(plan()).toEqual({
    kind: 'revoke',
    trials: 20,
    warmUp: 3,
    paceMs: 0,
    share: 100,
    settleMs: 25,
    workload: 'lapse-probe',
    slos: [],
  });
});

test('what is given', () => {
  const given = {
    pace: '500ms',
    hosts: 'web-1,web-2,web-1',
    share: '50%',
    settle: '1s',
    workload: 'web',
    timeout: '2m',
    slo: ['revoke p99 < 250ms'],
    report: 'a.html',
    junit: 'b.xml',
  };
  expect(plan(given)).toMatchObject({
    paceMs: 500,
    hosts: ['web-1', 'web-2'],
    share: 50,
    settleMs: 1000,
    workload: 'web',
    timeoutMs: 120_000,
    slos: [{ figure: 'zeroToLastRead', belowMs: 250 }],
    report: 'a.html',
    junit: 'b.xml',
  });
});

test('a crash says how', () => {
  expect(plan({ victims: 'holder,thread' }, 'crash').crash).toEqual({
    victims: ['thread', 'holder'],
    means: ['kill', 'stop'],
    withinMs: 1000,
  });
  expect(plan({}, 'partition')).not.toHaveProperty('crash');
});

test.each([
  [{ trials: '0' }],
  [{ trials: '10001' }],
  [{ trials: '9998' }],
  [{ warmUp: '-1' }],
  [{ pace: '500' }],
  [{ pace: '0ms' }],
  [{ share: '50' }],
  [{ share: '0%' }],
  [{ share: '101%' }],
  [{ settle: '9ms' }],
  [{ settle: '11s' }],
  [{ hosts: '' }],
  [{ hosts: 'web-1,' }],
  [{ workload: '../x' }],
  [{ timeout: '99ms' }],
  [{ slo: ['revoke'] }],
])('%j is refused', (options) => {
  expect(() => plan(options)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test.each([[{ victims: 'service' }], [{ victims: 'server,service' }], [{ means: '' }], [{ within: '11s' }]])(
  'of a crash, %j is refused',
  (options) => {
    expect(() => plan(options, 'crash')).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

describe('groups', () => {
  test.each([
    [5, 100, [5]],
    [5, 50, [2, 2, 1]],
    [4, 50, [2, 2]],
    [3, 10, [1, 1, 1]],
    [1, 1, [1]],
    [1001, 100, [1000, 1]],
  ])('%i hosts, %i percent at once: %j', (hosts, share, sizes) => {
    const groups = groupsOf(names(hosts), share);
    expect(groups.map((group) => group.length)).toEqual(sizes);
    expect(groups.flat()).toEqual(names(hosts));
  });
});

describe('an order', () => {
  const now = Date.UTC(2026, 10, 27, 14, 0, 0, 123);

  test.each(DRILL_KINDS)('of %s is one that hosts read', (kind) => {
    const order = newOrder(plan({}, kind), names(2), 3, now);
    expect(readOrder({ raw: { drill: orderJson(order) } })).toEqual(order);
    expect(order).toMatchObject({ kind, hosts: ['web-1', 'web-2'], trials: 23, settleMs: 25 });
  });

  test('has an id of its own', () => {
    const ids = [1, 2].map(() => newOrder(plan(), names(1), 3, now).id);
    expect(new Set(ids).size).toBe(2);
  });

  test('stands as long as its trials may take, and never for more than a day', () => {
    const lasting = (options: Partial<DrillOptions>, kind: DrillKind = 'revoke', lease = 3): number =>
      newOrder(plan(options, kind), names(1), lease, now).until - now;
    expect(lasting({})).toBeGreaterThan(23 * 2000);
    expect(lasting({ pace: '10s' })).toBeGreaterThan(23 * 10_000);
    expect(lasting({}, 'partition', 60)).toBeGreaterThan(23 * 60_000);
    expect(lasting({ trials: '9000', pace: '60s' })).toBeLessThanOrEqual(24 * 3600_000 + 1000);
  });

  test('a step of a partition lasts longer than the lease', () => {
    expect(stepMs(plan({}, 'partition'), 60)).toBeGreaterThan(60_000);
    expect(stepMs(plan({ timeout: '1s' }, 'partition'), 60)).toBe(1000);
  });
});
