// Which orders of drills a host carries out, and how: with a probe and a clock that the test holds.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DrillConfig } from '../../../daemon/config.ts';
import type { DailyCap } from '../../../daemon/drill/daily-cap.ts';
import type { KeptDrills } from '../../../daemon/drill/kept.ts';
import type { Strike } from '../../../daemon/drill/strike.ts';
import { Warden } from '../../../daemon/drill/warden.ts';
import type { HostSigner } from '../../../daemon/host/identity.ts';
import { parseHostName, parseRealmId, parseWorkload } from '../../../manifest/names.ts';
import type { DrillOrder } from '../../../manifest/realm/drill/order.ts';
import type { DrillStatement, Observed } from '../../../manifest/realm/drill/statement.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { FakeKept, FakeProbe, FakeProber, FakeStage, inEffect } from './drill-parts.ts';
import type { Scene } from './drill-parts.ts';

const REALM = parseRealmId('ab'.repeat(32));
const [WEB, OTHER] = [parseHostName('web-1'), parseHostName('web-2')];

let clock: ManualClock;
let stage: FakeStage;
let prober: FakeProber;
let kept: FakeKept;
let said: DrillStatement[];
let lines: string[];
let strikes: Strike[];
let taken: string[];
let isCapped: boolean;
let warden: Warden;
let standing: DrillOrder;

beforeEach(() => {
  clock = new ManualClock();
  stage = new FakeStage(clock);
  [prober, kept] = [new FakeProber(), new FakeKept()];
  [said, lines, strikes, taken, isCapped] = [[], [], [], [], false];
  standing = {
    ...{ id: 'd1'.repeat(16), kind: 'revoke', hosts: [WEB], workload: parseWorkload('lapse-probe') },
    ...{ trials: 10, until: clock.now() + 600_000, settleMs: 200 },
  };
  warden = makeWarden();
  warden.begin();
});

afterEach(() => warden.end());

function makeWarden(consent: DrillConfig['consent'] = 'on'): Warden {
  const cap = {
    today: 3,
    take: (order: string, trials: number) => {
      taken.push(`${order.slice(0, 2)} ${trials}`);
      return Promise.resolve(!isCapped);
    },
  } as unknown as DailyCap;
  const log = (line: string): void => void lines.push(line);
  return new Warden({
    ...{ stage, prober, clock, cap, kept: kept as unknown as KeptDrills },
    host: { name: WEB, realm: REALM } as HostSigner,
    config: { consent, cap: 1000, probe: '/probe', exec: [] },
    log: { info: log, warn: log, error: log },
    random: () => 0.5,
    strike: (strike) => void strikes.push(strike),
    say: (statement) => void said.push(statement),
  });
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
};
const note = async (scene: Scene, signed?: Promise<bigint>): Promise<void> => {
  warden.note(inEffect(clock, scene), signed);
  await settled();
};
/** Passes in steps, as timers that make timers need it. */
const pass = async (ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(Math.min(100, left));
    await settled();
  }
};
const words = (): readonly string[] =>
  said.map((each) => (each.kind === 'refused' ? each.code : `${each.kind} ${each.version}`));
const observed = (): Observed => said.find((each): each is Observed => each.kind === 'observed')!;

describe('a trial', () => {
  test('armed when every way has read, observed when the canary is gone and the probe was watched', async () => {
    await note({ order: standing });
    expect([words(), prober.started.length, warden.status.state]).toEqual([[], 1, 'running']);
    expect(stage.workloads).toEqual([{ id: 'lapse-drill', workload: 'lapse-probe', cgroup: ':/probe-1' }]);
    prober.started[0]!.isReading = false;
    await note({ order: standing, canaries: [1] });
    expect(words()).toEqual([]);
    prober.started[0]!.isReading = true;
    await settled();
    expect(said).toEqual([
      {
        ...{ kind: 'armed', realm: REALM, host: WEB, drill: standing.id, version: 1 },
        boot: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      },
    ]);
    clock.advance(50);
    const effect = inEffect(clock, { order: standing });
    warden.note(effect, Promise.resolve(clock.monotonic() + 5000n));
    expect(prober.started[0]!.effects).toEqual([effect.moments.effectAt]);
    await settled();
    await pass(199);
    expect(words()).toEqual(['armed 1']);
    await pass(1);
    const at = Number(effect.moments.effectAt / 1000n);
    expect(observed()).toMatchObject({
      ...{ version: 1, serviceBoot: 'service-boot' },
      moments: {
        ...{ pushed: 123, received: at - 1000, verified: at - 900, denied: at - 500 },
        ...{ invalidated: at, zeroed: at, receiptSigned: at + 5 },
      },
      ways: { held: { attempts: 12, reads: 10, late: 0, attemptsAfter: 2, errno: 2 } },
    });
  });

  test('follows another, with the next version, until all that were ordered are made', async () => {
    const order = { ...standing, trials: 2 };
    for (const version of [1, 2, 3]) {
      await note({ order, canaries: [version] });
      await note({ order });
      await pass(1300);
    }
    expect(words()).toEqual(['armed 1', 'observed 1', 'armed 2', 'observed 2']);
    expect(prober.started[0]!.armed).toEqual([1, 2]);
    expect([prober.started[0]!.isStopped, stage.workloads, warden.status.state]).toEqual([true, [], 'idle']);
  });

  test('of a rotation: what takes the name is armed after what went was observed', async () => {
    await note({ order: standing, canaries: [1] });
    await note({ order: standing, canaries: [2] });
    expect(words()).toEqual(['armed 1']);
    await pass(1300);
    expect(words()).toEqual(['armed 1', 'observed 1', 'armed 2']);
  });

  test('armed only by reads since that version is in effect: earlier ones may be of another', async () => {
    await note({ order: standing });
    prober.started[0]!.lastRead = clock.monotonic() - 1n;
    await note({ order: standing, canaries: [1] });
    await pass(100);
    expect(words()).toEqual([]);
    prober.started[0]!.lastRead = clock.monotonic();
    await pass(100);
    expect(words()).toEqual(['armed 1']);
  });

  test('a version that goes before every way has read it is none', async () => {
    prober.next = () => Object.assign(new FakeProbe(), { isReading: false });
    await note({ order: standing, canaries: [1] });
    await note({ order: standing });
    prober.started[0]!.isReading = true;
    await note({ order: standing, canaries: [2] });
    expect(words()).toEqual(['armed 2']);
  });
});

describe('refused', () => {
  test.for<[string, DrillConfig['consent'], Partial<DrillOrder>, boolean, string]>([
    ['without consent', 'off', {}, false, 'drill-off'],
    [
      ...(['a crash without consent to that', 'on'] as const),
      { kind: 'crash', crash: { victims: ['server'], means: ['kill'], withinMs: 0 } },
      ...([false, 'drill-off'] as const),
    ],
    [
      ...(['a crash that cannot be', 'crash'] as const),
      { kind: 'crash', crash: { victims: ['holder'], means: ['stop'], withinMs: 0 } },
      ...([false, 'drill-off'] as const),
    ],
    ['beyond the cap', 'on', {}, true, 'drill-cap'],
  ])('%s', async ([, consent, change, capped, code]) => {
    isCapped = capped;
    warden = makeWarden(consent);
    warden.begin();
    const order = { ...standing, ...change };
    await note({ order, canaries: [1] });
    await note({ order, canaries: [2] });
    expect([words(), prober.started]).toEqual([[code], []]);
    expect(warden.status).toEqual({ state: consent === 'off' ? 'off' : 'idle', trialsToday: 3 });
  });

  test('a probe that cannot be started', async () => {
    prober.start = () => Promise.reject(new Error('no group'));
    await note({ order: standing, canaries: [1] });
    expect([words(), lines.some((line) => line.includes('no group'))]).toEqual([['probe-failed'], true]);
  });

  test('a probe that dies in a trial: the exercise is over, and what is left of it is taken away', async () => {
    await note({ order: standing, canaries: [1] });
    prober.started[0]!.isRunning = false;
    await note({ order: standing });
    await pass(1300);
    expect(words()).toEqual(['armed 1', 'probe-failed']);
    expect([stage.workloads, prober.started[0]!.isStopped, warden.status.state]).toEqual([[], true, 'idle']);
  });

  test('while the probe of another order does not end', async () => {
    await note({ order: standing, canaries: [1] });
    const [first] = prober.started;
    first!.stop = () => Promise.reject(new Error('does not end'));
    prober.adopt = () => Promise.resolve(first);
    await note({ order: { ...standing, id: 'd2'.repeat(16) }, canaries: [1] });
    expect([words(), prober.started.length]).toEqual([['armed 1', 'drill-busy'], 1]);
  });
});

describe('none is begun', () => {
  test.for<[string, (order: DrillOrder) => Scene]>([
    ['of other hosts', (order) => ({ order: { ...order, hosts: [OTHER] } })],
    ['that has expired', (order) => ({ order: { ...order, until: clock.now() } })],
    ['that is none', () => ({ raw: { id: 'd1' } })],
    ['while its namespace is not served here', (order) => ({ order, isServed: false })],
    ['while its namespace does not verify', (order) => ({ order, isFailing: true })],
  ])('%s', async ([, scene]) => {
    await note({ ...scene(standing), canaries: [1] });
    expect([words(), prober.started, taken]).toEqual([[], [], []]);
  });

  test('before this server answers', async () => {
    const early = makeWarden();
    early.note(inEffect(clock, { order: standing, canaries: [1] }), undefined);
    await settled();
    expect(prober.started).toEqual([]);
    early.begin();
    await settled();
    expect(words()).toEqual(['armed 1']);
    await early.end();
  });
});

describe('an order ends', () => {
  beforeEach(() => note({ order: standing, canaries: [1] }));

  test.for<[string, () => Promise<void>]>([
    ['when it is taken back', () => note({ canaries: [1] })],
    ['when its namespace is gone', () => note({ order: standing, isServed: false })],
    [
      'at its time',
      () => {
        clock.advance(600_000);
        return settled();
      },
    ],
    ['with this server', () => warden.end()],
  ])('%s: so does the probe, and nothing more is said', async ([, end]) => {
    await end();
    await note({});
    await pass(2000);
    expect([words(), prober.started.length, prober.started[0]!.isStopped]).toEqual([['armed 1'], 1, true]);
    expect([stage.workloads, kept.drill]).toEqual([[], undefined]);
  });

  test('when another takes its place: its probe has ended before the next begins', async () => {
    await note({ order: { ...standing, id: 'd2'.repeat(16) }, canaries: [2] });
    await settled();
    expect(prober.started.map(({ isStopped }) => isStopped)).toEqual([true, false]);
    expect([words(), taken]).toEqual([
      ['armed 1', 'armed 2'],
      ['d1 10', 'd2 10'],
    ]);
  });

  test('not by a state that does not verify', async () => {
    await note({ isFailing: true, canaries: [1] });
    expect([prober.started[0]!.isStopped, warden.status]).toEqual([
      false,
      { state: 'running', id: standing.id, trialsToday: 3 },
    ]);
  });

  test('the probe is told its end, a day at most', async () => {
    await note({ order: { ...standing, id: 'd3'.repeat(16), until: clock.now() + 1e9 } });
    const [first, second] = prober.wishes;
    expect(Number(first!.untilNs - clock.monotonic()) / 1e6).toBe(600_000);
    expect(Number(second!.untilNs - clock.monotonic()) / 1e6).toBe(24 * 3_600_000);
  });
});

describe('a partition', () => {
  beforeEach(() => {
    standing = { ...standing, kind: 'partition' };
    return note({ order: standing, canaries: [1] });
  });

  test('is cut off before it says armed, until it has failed closed and said so', async () => {
    expect(stage.cuts).toEqual([{ namespace: 'drill', ms: 3000 + 2000 + 200 + 3000, isOver: false }]);
    // Mappings may be readable for a moment longer.
    const effect = clock.monotonic() + 3_500_000_000n;
    expect([words(), prober.started[0]!.effects]).toEqual([['armed 1'], [effect]]);
    await note({ isFailing: true, canaries: [1] });
    await pass(2900);
    expect(words()).toEqual(['armed 1']);
    prober.started[0]!.isReading = false;
    await pass(500);
    expect(words()).toEqual(['armed 1']);
    await pass(400);
    expect(words()).toEqual(['armed 1', 'observed 1']);
    const { moments } = observed();
    expect((moments.leaseEnd ?? 0) - (moments.cut ?? 0)).toBe(3_000_000);
    expect([moments.invalidated, stage.cuts[0]!.isOver]).toEqual([undefined, true]);
  });

  test('a canary that is read for too long is observed all the same', async () => {
    await pass(3000 + 2000 + 200 + 100);
    expect([words(), stage.cuts[0]!.isOver]).toEqual([['armed 1', 'observed 1'], true]);
  });

  test('the version that stays is not armed again', async () => {
    prober.started[0]!.isReading = false;
    await pass(3000 + 500 + 200 + 100);
    prober.started[0]!.isReading = true;
    await note({ order: standing, canaries: [1] });
    expect(words()).toEqual(['armed 1', 'observed 1']);
  });

  test.for<[string, () => Promise<void>]>([
    ['the order is at its end', () => pass(0)],
    ['the probe dies', () => Promise.resolve(void (prober.started[0]!.isRunning = false))],
    ['this server ends', () => warden.end()],
  ])('is over when %s', async ([what, happen]) => {
    if (what.startsWith('the order')) await note({ canaries: [1] });
    await happen();
    await settled();
    expect(stage.cuts.map(({ isOver }) => isOver)).toEqual([true]);
  });
});

describe('a crash', () => {
  const crash = { victims: ['server'], means: ['kill'], withinMs: 1000 } as const;

  beforeEach(async () => {
    warden = makeWarden('crash');
    warden.begin();
    standing = { ...standing, kind: 'crash', crash };
    await note({ order: standing, canaries: [1] });
    await pass(2499);
    expect(words()).toEqual([]);
    await pass(1);
  });

  test('comes after armed, at its moment, when everything is kept; the next server goes on', async () => {
    await pass(499);
    expect([words(), strikes]).toEqual([['armed 1'], []]);
    await pass(1);
    expect(strikes).toEqual([{ victim: 'server', means: 'kill', afterMs: 500 }]);
    const struck = Number(clock.monotonic() / 1000n);
    expect(kept.drill).toMatchObject({ order: standing.id, trials: 1, trial: { moments: { struck } } });
    // This one is dead.
    warden.leave();
    prober.left = prober.started[0];
    clock.advance(60);
    const next = makeWarden('crash');
    next.begin();
    next.note(inEffect(clock, { order: standing }), undefined);
    await settled();
    await pass(300);
    expect(words()).toEqual(['armed 1', 'armed 1', 'observed 1']);
    expect(strikes).toHaveLength(1);
    const { struck: then = 0, answered = 0, invalidated = 0 } = observed().moments;
    expect([answered - then, invalidated - then]).toEqual([60_000, 60_000]);
    expect(prober.started.every(({ armed }) => armed.length === 1)).toBe(true);
    await next.end();
  });

  test('does not come when what is known cannot be kept', async () => {
    kept.write = () => {
      throw new Error('no space');
    };
    await pass(600);
    expect([words(), strikes]).toEqual([['armed 1', 'probe-failed'], []]);
    expect(warden.status.state).toBe('idle');
    kept.write = () => undefined;
  });

  test('an end of this server that is the drill’s doing leaves the probe to the next', async () => {
    await pass(500);
    await warden.end();
    expect([prober.started[0]!.isStopped, kept.drill?.trial?.version]).toEqual([false, 1]);
  });
});

describe('the next server', () => {
  const next = async (scene: Scene): Promise<void> => {
    warden.leave();
    warden = makeWarden();
    warden.begin();
    await note(scene);
  };

  beforeEach(async () => {
    await note({ order: standing, canaries: [1] });
    prober.left = prober.started[0];
  });

  test('goes on with probe, registration and trial', async () => {
    await next({ order: standing, canaries: [1] });
    await note({ order: standing });
    await pass(1300);
    expect(words()).toEqual(['armed 1', 'armed 1', 'observed 1']);
    expect([prober.wishes.length, prober.started[0]!.armed, stage.workloads.length]).toEqual([1, [1], 1]);
  });

  test('starts anew when the probe is gone meanwhile', async () => {
    prober.started[0]!.isStopped = true;
    prober.left = undefined;
    await next({ order: standing, canaries: [1] });
    expect([prober.wishes.length, words(), stage.workloads.length]).toEqual([2, ['armed 1', 'armed 1'], 1]);
    expect(prober.started[1]!.armed).toEqual([2]);
  });

  test('ends it when the order is gone, and when it does not consent', async () => {
    await next({ canaries: [1] });
    expect([prober.started[0]!.isStopped, stage.workloads, kept.drill]).toEqual([true, [], undefined]);
  });
});

test('whatever a probe’s page does, nothing is thrown at who serves', async () => {
  await note({ order: standing, canaries: [1] });
  prober.started[0]!.effect = () => {
    throw new Error('the page was cut short');
  };
  expect(() => warden.note(inEffect(clock, { order: standing }), undefined)).not.toThrow();
  await pass(1300);
  expect(words()).toEqual(['armed 1', 'probe-failed']);
});
