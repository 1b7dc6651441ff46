// Thousands of views on one mount: what one workload sees and what a change costs its reader does not depend on them.
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { callControl } from '../../daemon/control/client.ts';
import { Host } from '../support/lapsed.ts';

const VIEWS = 2000;

it(`serves ${VIEWS} views, and shows each workload its own`, async () => {
  await using host = await Host.start({ lapsed: false });
  // Not about the dead-man's switch: on a crowded machine so many registrations may hold a heartbeat up.
  await host.startLapsed({ dead_after: '10s' });
  const value = randomBytes(16).toString('hex');
  await host.put('db', value, '--grant', 'web', '--grant', 'w-1999');
  const web = await host.inWorkload('web');
  const clock = systemClock();
  for (let number = 0; number < VIEWS; number++) {
    const body = { id: `c-${number}`, workload: `w-${number}`, cgroup: `0::/lapse-views/${number}` };
    const answer = await callControl(
      { to: host.places.control, method: 'POST', path: '/v1/workloads', body },
      clock,
    );
    expect(answer.status).toBe(201);
  }
  expect((await host.status()).workloads).toHaveLength(VIEWS + 1);
  const held = await web.open('self/db');
  await web.map(held);
  expect([await web.list('w'), await web.cat('self/db'), await web.touch()]).toEqual(['web', value, value]);
  expect(await web.cat('w/w-1999/db')).toBe('ENOENT');

  const late = await host.inWorkload('w-1999');
  expect([await late.list('w'), await late.cat('self/db')]).toEqual(['w-1999', value]);

  await host.revoke('db');
  expect([await web.cat('self/db'), await web.read(held), await web.touch()]).toEqual([
    'ENOENT',
    'EACCES',
    'SIGBUS',
  ]);
  expect(await late.cat('self/db')).toBe('ENOENT');
}, 240_000);
