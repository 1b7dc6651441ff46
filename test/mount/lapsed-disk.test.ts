// A disk that stands still: the file system with the host's state is frozen, so that whoever writes to it waits. Nothing
// that readers see may wait with it, and no server may be taken for dead. Needs root, and a loop device.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Host } from '../support/lapsed.ts';

const IMAGE_MIB = 32;
/** The machine itself may stand still for so long. */
const DEAD_AFTER = '2500ms';
/** Longer than that. */
const STILL_MS = 4000;
const MOST_S = 50;

/** A disk of its own, mounted for as long as the test lasts. */
function disk(host: Host): string {
  const [image, directory] = [join(host.places.work, 'disk.img'), join(host.places.work, 'disk')];
  mkdirSync(directory);
  execFileSync('truncate', ['--size', `${IMAGE_MIB}M`, image]);
  execFileSync('mkfs.ext4', ['-q', image]);
  execFileSync('mount', ['-o', 'loop', image, directory]);
  return directory;
}

test('what is published takes effect, and the server lives, while the disk stands still', async ({
  skip,
}) => {
  if (!existsSync('/dev/loop-control')) skip('no loop device here: nothing to freeze');
  await using host = await Host.start({ lapsed: false, onDisk: false });
  const directory = disk(host);
  const state = join(directory, 'state');
  execFileSync('cp', ['-a', host.places.state, state]);
  const lapsed = await host.startLapsed({ state, dead_after: DEAD_AFTER });
  const web = await host.inWorkload('web');
  await host.put('db', 'before', '--grant', 'web');
  const { server } = lapsed;
  // Whatever becomes of this process, the disk must not stand still for good.
  const thaw = ['fsfreeze', '--unfreeze', directory] as const;
  spawn('sh', ['-c', 'sleep "$1"; shift; "$@"', 'sh', String(MOST_S), ...thaw], {
    detached: true,
    stdio: 'ignore',
  }).unref();
  execFileSync('fsfreeze', ['--freeze', directory]);
  const control = spawn('touch', [join(directory, 'control')], { stdio: 'ignore' });
  try {
    await host.rotate('db', 'after');
    expect(await web.cat('self/db')).toBe('after');
    await host.lapse('revoke', 'payments/db', '--yes');
    expect(await web.cat('self/db')).toBe('ENOENT');
    await sleep(STILL_MS);
    expect(await host.status()).toMatchObject({ lease: { holds: true } });
    expect(control.exitCode, 'the disk does stand still').toBe(null);
  } finally {
    execFileSync(thaw[0], thaw.slice(1));
  }
  expect(lapsed.server).toBe(server);
  expect(lapsed.log).not.toMatch(/no beat/);
  // What could not be saved then, is.
  await host.put('db', 'at last', '--grant', 'web');
  expect(await web.cat('self/db')).toBe('at last');
  expect((await lapsed.end()).code).toBe(0);
});
