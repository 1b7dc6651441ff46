// Somebody sets a host's wall clock, or it jumps: that moves what counts as expired, and neither what is trusted nor how long
// a lease lasts, which boot time alone measures. How leases end is shown in test/unit/daemon/leases.test.ts.
import { beforeEach, describe, expect, test } from 'vitest';
import { Leases } from '../../../daemon/leases.ts';
import { PAYMENTS, Stage, readable, versions } from './stage.ts';

const YEAR = 365 * 24 * 3600_000;
const MINUTE = 60_000;

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

describe('clock jumps', () => {
  test('forwards: everything has expired, nothing is forgotten, and with the clock put right all goes on', () =>
    stage.refuses('metadata-expired', () => {
      stage.clock.wall += YEAR;
    }));

  test('forwards, for ever: nothing is renewed', () =>
    stage.refuses(
      'metadata-expired',
      () => {
        stage.clock.wall = Number.MAX_SAFE_INTEGER;
      },
      (updater) => updater.renew(),
    ));

  test('backwards: what expired seems new again, but what is older than what is held is refused', async () => {
    const back = stage.service.checkpoint();
    stage.service.put(stage.realm.takeBack('billing', 'db', 1));
    await stage.updater.refresh();
    await stage.updater.persist();
    await stage.refuses('version-rollback', () => {
      back();
      stage.clock.wall -= YEAR;
    });
  });

  test('backwards: an expired timestamp is taken again, and it renews nothing, for the service says what is newest', () =>
    stage.refuses(
      'echo-mismatch',
      async () => {
        const old = await stage.service.echo('0'.repeat(64));
        stage.clock.advance(YEAR);
        stage.clock.wall -= YEAR;
        stage.service.echo = () => Promise.resolve(old);
      },
      (updater) => updater.renew(),
    ));

  test('to before 1970, and to no time at all: nothing is taken that was refused before', async () => {
    const [before, disk] = [readable(stage.updater.state), versions(stage.updater.state.set)];
    for (const wall of [-1, -8.64e15, 0]) {
      stage.clock.wall = wall;
      await stage.updater.refresh();
      expect(readable(stage.updater.state)).toEqual(before);
      expect(versions(stage.updater.state.set)).toEqual(disk);
    }
  });

  test.for([-YEAR, YEAR])('by %d ms: a lease lasts as long as it lasts', (jump) => {
    const leases = new Leases(() => stage.clock.boot());
    const place = leases.place(PAYMENTS);
    leases.renew(stage.clock.boot(), MINUTE, place);
    stage.clock.wall += jump;
    expect(leases.holds(place)).toBe(true);
    stage.clock.passBoot(MINUTE - 1);
    expect(leases.holds(place)).toBe(true);
    stage.clock.passBoot(1);
    expect(leases.holds(place)).toBe(false);
  });
});
