// Moments of other clocks on the command's time: subtracted where the kernel is the same, and else bounded, so that the truth
// lies within the bounds however long each journey took and whatever the other clocks say.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostTrial } from '../../../../client/drill/host-trial.ts';
import { placeHost, placeService } from '../../../../client/drill/placing.ts';
import type { TrialClocks } from '../../../../client/drill/placing.ts';
import type { Observed } from '../../../../manifest/realm/drill/statement.ts';

const WAY = { attempts: 10, reads: 5, late: 0, attemptsAfter: 3, errno: 13 };

/** True times in microseconds; journeys in the order in which they were made. */
interface Story {
  readonly begun: number;
  readonly zero: number;
  readonly signing: number;
  readonly toService: number;
  readonly answering: number;
  readonly queueing: number;
  readonly toHost: number;
  readonly working: number;
  readonly back: number;
  /** By how much the clocks of service and host are ahead of the command's. */
  readonly service: number;
  readonly host: number;
}

interface Told {
  readonly clocks: TrialClocks;
  readonly observed: Observed;
  readonly storedAt: number;
  /** What is to be found: the true time of `received`, after zero. */
  readonly received: number;
}

function tell(story: Story, boots: { service?: string; host?: string } = {}): Told {
  const { service = 'service', host = 'host' } = boots;
  const { begun, zero, signing, toService, answering, queueing, toHost, working, back } = story;
  const signed = zero + signing;
  const committed = signed + toService;
  const pushed = committed + queueing;
  const received = pushed + toHost;
  const receiptSigned = received + working;
  const stored = receiptSigned + back;
  const onHost = (at: number): number => at + story.host;
  const way = { ...WAY, lastRead: onHost(received + 1), firstDenied: onHost(received + 2) };
  return {
    clocks: {
      boot: 'command',
      begun,
      zero,
      signed,
      answered: committed + answering,
      committed: { at: committed + story.service, boot: service },
    },
    observed: {
      kind: 'observed',
      realm: '5c'.repeat(32) as never,
      host: 'web-1' as never,
      boot: host,
      drill: 'ab'.repeat(16),
      version: 3,
      moments: {
        pushed: pushed + story.service,
        received: onHost(received),
        verified: onHost(received + 1),
        denied: onHost(received + 2),
        invalidated: onHost(received + 3),
        receiptSigned: onHost(receiptSigned),
      },
      serviceBoot: service,
      ways: { reopen: way, held: way, mapped: way, watched: way },
    },
    storedAt: stored + story.service,
    received: received - zero,
  };
}

/** 5 ms there and 5 ms back between everybody. */
const EXAMPLE: Story = {
  begun: 900_000,
  zero: 1_000_000,
  signing: 2000,
  toService: 5000,
  answering: 5000,
  queueing: 100,
  toHost: 5000,
  working: 1000,
  back: 5000,
  service: 77_000_000,
  host: -500_000,
};

describe('one kernel', () => {
  test('times are exact, whatever the journeys were', () => {
    const { clocks, observed, storedAt, received } = tell(
      { ...EXAMPLE, service: 0, host: 0 },
      { service: 'command', host: 'command' },
    );
    const anchor = { host: observed.moments.receiptSigned!, storedAt };
    const placing = placeHost(clocks, observed, anchor);
    expect([placing.clock, placing.uncertaintyUs]).toEqual(['same', 0]);
    expect(placing.at(observed.moments.received!)).toBe(received);
    expect(placeService(clocks, clocks.committed.at)).toBe(7000);
  });
});

describe('other clocks', () => {
  test('the latest that it can have been: both round trips stay open', () => {
    const { clocks, observed, storedAt, received } = tell(EXAMPLE);
    const placing = placeHost(clocks, observed, { host: observed.moments.receiptSigned!, storedAt });
    // Commit and answer: 5 + 5 ms. Push, host and back: 5 + 5 ms.
    expect(placing.uncertaintyUs).toBe(20_000);
    expect(placing.at(observed.moments.received!)).toBe(received + 5000 + 5000);
    expect(placeService(clocks, clocks.committed.at)).toBe(12_000);
  });

  test("where the service shares the kernel, only the host's own round trip stays open", () => {
    const { clocks, observed, storedAt } = tell({ ...EXAMPLE, service: 0 }, { service: 'command' });
    const placing = placeHost(clocks, observed, { host: observed.moments.receiptSigned!, storedAt });
    expect(placing.uncertaintyUs).toBe(10_000);
  });

  test('a push of a service that is not known says nothing', () => {
    const { clocks, observed, storedAt } = tell(EXAMPLE);
    const other = { ...observed, serviceBoot: 'another' };
    const placing = placeHost(clocks, other, { host: observed.moments.receiptSigned!, storedAt });
    expect(placing.uncertaintyUs).toBe(20_100);
    const { stages } = hostTrial(clocks, { observed: other, storedAt });
    expect(stages).not.toHaveProperty('pushed');
  });

  test("cut off: nothing was received, so the trial's beginning is the earliest", () => {
    const { clocks, observed, storedAt } = tell(EXAMPLE);
    const moments = { cut: observed.moments.received! - 50_000, leaseEnd: observed.moments.received! + 9e6 };
    const told = hostTrial(clocks, { observed: { ...observed, moments }, storedAt });
    expect(told).toMatchObject({ clock: 'bounded', leaseUs: 9_050_000, cutToLastReadUs: 50_001 });
    expect(told.ways.held.lastReadUs! - told.uncertaintyUs).toBeLessThanOrEqual(12_101);
    expect(told.stages).not.toHaveProperty('received');
  });

  const journey = fc.integer({ min: 0, max: 10_000_000 });
  const ahead = fc.integer({ min: -1e12, max: 1e12 });
  test('the truth lies within the bounds, always', () => {
    const stories = fc.record({
      begun: fc.constant(900_000),
      zero: fc.constant(1_000_000),
      signing: journey,
      toService: journey,
      answering: journey,
      queueing: journey,
      toHost: journey,
      working: journey,
      back: journey,
      service: ahead,
      host: ahead,
    });
    const boots = fc.constantFrom({}, { service: 'command' }, { serviceBoot: 'another' });
    fc.assert(
      fc.property(stories, boots, fc.boolean(), (drawn, known, isAnchored) => {
        const story = 'service' in known ? { ...drawn, service: 0 } : drawn;
        const { clocks, observed, storedAt, received } = tell(story, known);
        const receipt = isAnchored ? { storedAt, verifiedAt: 0 } : undefined;
        const told = hostTrial(clocks, { observed, storedAt, ...(receipt && { receipt }) });
        const latest = told.stages.received!;
        return latest >= received && latest - told.uncertaintyUs <= received;
      }),
    );
  });
});

describe('a host in a trial', () => {
  const { clocks, observed, storedAt } = tell(EXAMPLE, { host: 'command' });

  test('has every stage that was told, and no other', () => {
    const { stages } = hostTrial(clocks, {
      observed,
      storedAt,
      receipt: { storedAt, verifiedAt: 1_030_000 },
    });
    expect(stages).toMatchObject({ signed: 2000, receiptVerified: 30_000 });
    expect(stages).not.toHaveProperty('zeroed');
  });

  test('reads after the receipt are late ones of a way whose last read ended after it', () => {
    const after = observed.moments.receiptSigned! + 1;
    const ways = {
      ...observed.ways,
      held: { ...observed.ways.held, late: 4, lastRead: after },
      mapped: { ...observed.ways.mapped, late: 2 },
      watched: { ...observed.ways.watched, lastRead: after },
    };
    expect(hostTrial(clocks, { observed: { ...observed, ways }, storedAt }).readsAfterReceipt).toBe(4);
  });

  test('struck and answered', () => {
    const moments = { ...observed.moments, struck: 10, answered: 4010 };
    const told = hostTrial(clocks, { observed: { ...observed, moments }, storedAt });
    expect(told.struckToAnsweredUs).toBe(4000);
  });
});
