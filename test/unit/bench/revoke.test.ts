// The bench that compares Lapse with etcd counts late reads. Here it gets records with and without them, and must
// tell them apart, and must not trust a zero without its control.
import { describe, expect, it } from 'vitest';
import { outcomeOf, WAYS } from '../../../bench/revoke/outcome.ts';
import type { Outcome } from '../../../bench/revoke/outcome.ts';
import { verdict } from '../../../bench/revoke/report.ts';
import type { Measured } from '../../../bench/revoke/report.ts';
import type { ReadRecord, Way } from '../../../demo/records.ts';

const LOOK_MS = 2000;
const ms = (count: number): bigint => BigInt(Math.round(count * 1e6));
const taken = { zero: ms(1000), effect: ms(1010) };

/** Attempts every millisecond by each way, each of half of one, that succeed until the way's end; 2.1 s from clock zero on. */
function records(until: Readonly<Record<Way, number>>): readonly ReadRecord[] {
  return WAYS.flatMap((way) =>
    Array.from({ length: 3100 }, (_, i) => {
      const start = ms(i + 0.1);
      return {
        start,
        end: start + ms(0.5),
        hash: 7n,
        way,
        result: Number(start) < until[way] * 1e6 ? 0 : 13,
      };
    }),
  );
}

const outcome = (reopen: number, held: number, mapped: number): Outcome =>
  outcomeOf(records({ reopen, held, mapped }), taken, LOOK_MS);

describe('outcomeOf', () => {
  it('times the last read and counts what came after the effect', () => {
    const { ways, ...times } = outcome(1005, 1035, Infinity);
    expect(times).toEqual({ effectMs: 10, usualPauseMs: 1, longestPauseMs: 1 });
    expect(ways.reopen).toMatchObject({ lastReadMs: 4.6, reads: 0, attempts: 2090, stillReadable: false });
    expect(ways.held).toMatchObject({ lastReadMs: 34.6, reads: 25, stillReadable: false });
    expect(ways.mapped).toMatchObject({ lastReadMs: Infinity, reads: 2090, stillReadable: true });
  });

  it('does not call a read late that had begun before the effect', () => {
    const slow = { start: ms(1009), end: ms(1100), hash: 7n, way: 'held' as const, result: 0 };
    const { held } = outcomeOf(
      [...records({ reopen: 1005, held: 0, mapped: 1005 }), slow],
      taken,
      LOOK_MS,
    ).ways;
    expect(held).toMatchObject({ lastReadMs: 100, reads: 0 });
  });

  it('refuses a way by which nothing was ever read', () => {
    expect(() => outcome(1005, 0, 1005)).toThrow();
  });
});

describe('verdict', () => {
  const good = outcome(1005, 1005, 1005);
  const open = outcome(1035, Infinity, Infinity);
  const measured = (change: Partial<Measured['outcomes']> & { sabotaged?: readonly Outcome[] }): Measured => {
    const { sabotaged = [outcome(1005, 1005, Infinity)], ...outcomes } = change;
    return {
      trials: 1,
      etcdVersion: '3',
      pollSeconds: 60,
      lookMs: { lapse: LOOK_MS, etcd: LOOK_MS, poller: LOOK_MS },
      outcomes: { lapse: [good], etcd: [open], poller: [open], ...outcomes },
      sabotaged,
    };
  };

  it('has nothing to say when Lapse kept its word and every control was noticed', () => {
    expect(verdict(measured({}))).toEqual([]);
  });

  it.each([
    ['a late read by reopening', { lapse: [outcome(1015, 1005, 1005)] }, /^Lapse: 5 reads \(opened anew\)/],
    ['a late read by a descriptor', { lapse: [outcome(1005, 1015, 1005)] }, /^Lapse: 5 reads \(held/],
    ['a mapping that lives on', { lapse: [outcome(1005, 1005, Infinity)] }, /^Lapse: 2090 reads \(mapping\)/],
    ['a sabotage that was not noticed', { sabotaged: [good] }, /no late read \(mapping\)/],
    [
      'a descriptor that should have lived on',
      { etcd: [outcome(1035, 1005, Infinity)] },
      /no late read \(held/,
    ],
    ['a poller that was too quick to be true', { poller: [good] }, /no late read \(opened anew\)/],
    ['a watcher that does nothing', { etcd: [outcome(Infinity, Infinity, Infinity)] }, /never removed/],
  ])('catches %s', (_, change, sentence) => {
    expect(verdict(measured(change))).toEqual([expect.stringMatching(sentence)]);
  });

  it('does not trust a reader that pauses', () => {
    const slow = records({ reopen: 1005, held: 1005, mapped: 1005 }).filter((_, i) => i % 5 === 0);
    expect(verdict(measured({ lapse: [outcomeOf(slow, taken, LOOK_MS)] }))).toEqual([
      expect.stringMatching(/Lapse’s readers paused 5 ms/),
    ]);
  });

  it('does not trust a reader that ended', () => {
    const cut = records({ reopen: 1005, held: 1005, mapped: 1005 }).filter(({ start }) => start < ms(1050));
    const sentences = verdict(measured({ lapse: [outcomeOf(cut, taken, LOOK_MS)] }));
    expect(sentences).toHaveLength(2 * WAYS.length);
    expect(sentences.join('\n')).toMatch(/only 40 attempts.*nothing was tried/s);
  });
});
