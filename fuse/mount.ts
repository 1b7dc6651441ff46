/**
 * Mounting and unmounting. `mount` returns the device that must be served: until INIT was answered, whatever touches the
 * mountpoint (stat, ls, bind) blocks for good, so nobody may. `unmount` detaches without asking the file system, so it
 * works whether or not somebody serves; what is still open dies when the device is closed. Both are bounded by a signal.
 */
import { closeSync } from 'node:fs';
import { run } from './command.ts';
import { openDevice } from './device.ts';
import { FuseError } from './errors.ts';
import { canonical, findMount } from './mountinfo.ts';
import { MAX_READ_BYTES } from './negotiation.ts';

export interface MountOptions {
  readonly directory: string;
  /** Shown as the source in the list of mounts. */
  readonly fsname: string;
  /** The mount's type is `fuse.` and this; `clearStale` knows its own by it. */
  readonly subtype: string;
  readonly signal: AbortSignal;
}

export async function mount({ directory, fsname, subtype, signal }: MountOptions): Promise<number> {
  const path = await canonical(directory);
  const device = openDevice();
  try {
    const parameters = ['-i', '-c', '-t', `fuse.${subtype}`, '-o', kernelOptions(), '--', fsname, path];
    const { status, diagnostics } = await run('mount', parameters, { signal, inherit: device });
    if (status === 0) return device;
    throw new FuseError('mount-failed', `cannot mount on ${directory}: ${diagnostics}`);
  } catch (error) {
    closeSync(device);
    throw error;
  }
}

export async function unmount(directory: string, signal: AbortSignal): Promise<void> {
  // No helper, no canonical path: either would ask the mount, which may have no server.
  const { status, diagnostics } = await run('umount', ['-i', '-c', '-l', '--', await canonical(directory)], {
    signal,
  });
  if (status !== 0) throw new FuseError('unmount-failed', `cannot unmount ${directory}: ${diagnostics}`);
}

/**
 * Takes away what a server of this subtype left behind when it died. Anything else that is mounted there is an error and
 * stays: `mount-in-use` if its server lives, or may live; `mount-foreign` if it is not ours.
 */
export async function clearStale(
  directory: string,
  { subtype, signal }: Pick<MountOptions, 'subtype' | 'signal'>,
): Promise<void> {
  const found = await findMount(directory);
  if (found === undefined) return;
  if (found.type !== `fuse.${subtype}`) {
    throw new FuseError('mount-foreign', `${directory} has ${found.source} (${found.type}) mounted on it`);
  }
  if (!(await isDead(directory, signal)))
    throw new FuseError('mount-in-use', `${directory} is being served already`);
  await unmount(directory, signal);
}

/**
 * Dead is only what says ENOTCONN. Asked by a child: a stat that hangs would hold a thread of the pool, and with it
 * the exit of this process. The name is one that no cache can answer for.
 */
async function isDead(directory: string, signal: AbortSignal): Promise<boolean> {
  const probe = `
    const { constants } = require('node:os');
    try { require('node:fs').statSync(process.argv[1] + '/.probe-' + process.pid); }
    catch (error) { process.exitCode = error.errno === -constants.errno.ENOTCONN ? 3 : 0; }`;
  const { status } = await run(
    process.execPath,
    ['--input-type=commonjs', '--eval', probe, '--', directory],
    { signal },
  );
  return status === 3;
}

function kernelOptions(): string {
  const owner = [`user_id=${process.geteuid?.() ?? 0}`, `group_id=${process.getegid?.() ?? 0}`];
  // max_read holds where pages are larger than 4 KiB, too; there the negotiated page count would mean more.
  const limits = ['allow_other', 'default_permissions', `max_read=${MAX_READ_BYTES}`];
  return ['fd=3', 'rootmode=40000', ...owner, ...limits, 'ro', 'nosuid', 'nodev', 'noexec'].join(',');
}
