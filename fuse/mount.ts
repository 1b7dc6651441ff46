/**
 * Mounting and unmounting, by mount(8) and umount(8); each is bounded by a signal, and a mount that somebody else made is
 * never touched. A fresh mount's device must be served: until INIT was answered, whatever touches the mountpoint (stat,
 * ls, bind) blocks for good, so nobody may. `unmount` and `abort` detach without asking the file system, so they work
 * whether or not somebody serves.
 */
import { closeSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
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

export interface AttachOptions extends MountOptions {
  /**
   * False where the server itself must be able to ask for changes (announce.ts): then the directory has to stand where
   * nobody else enters, and others get it by `publish`.
   */
  readonly readOnly: boolean;
}

export interface PublishOptions {
  /** Where the file system is attached. Its server answers already, and the directory around it is private. */
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
}

const PUBLIC = 'ro,nosuid,nodev,noexec';

/** Opens a device and attaches it: the device must now be served, and closed at the end. */
export async function mount(options: MountOptions): Promise<number> {
  const device = openDevice();
  try {
    await attach(device, { ...options, readOnly: true });
    return device;
  } catch (error) {
    closeSync(device);
    throw error;
  }
}

/** Attaches a device that somebody opened, and that no server has served yet. */
export async function attach(
  device: number,
  { directory, fsname, subtype, signal, readOnly }: AttachOptions,
): Promise<void> {
  const path = await canonical(directory);
  const parameters = ['-t', `fuse.${subtype}`, '-o', kernelOptions(readOnly), '--', fsname, path];
  await command('mount', parameters, signal, device);
}

/**
 * Shows a file system at a second place, read-only from the first moment. A bind takes over the flags of what it binds,
 * and a remount does not reach namespaces that the bind was propagated to: so it is made read-only out of sight first.
 */
export async function publish({ from, to, signal }: PublishOptions): Promise<void> {
  const found = await findMount(to);
  if (found !== undefined) {
    const code = found.type === (await findMount(from))?.type ? 'mount-in-use' : 'mount-foreign';
    throw new FuseError(code, `${to} has ${found.source} (${found.type}) mounted on it`);
  }
  const [source, target] = [await canonical(from), await canonical(to)];
  const aside = `${source}.aside`;
  // Left by a server that died in the middle: the place is private, so it is ours.
  if (await findMount(aside)) await unmount(aside, signal);
  await mkdir(aside, { mode: 0o700, recursive: true });
  try {
    // Private, or both places would be peers: what somebody mounts over the public one would cover this one, too.
    await command('mount', ['--bind', '--make-private', '--', source, aside], signal);
    try {
      await command('mount', ['-o', `remount,bind,${PUBLIC}`, '--', aside], signal);
      await command('mount', ['--bind', '--', aside, target], signal);
    } finally {
      await unmount(aside, signal);
    }
  } finally {
    await rmdir(aside);
  }
}

/** What is still open lives on until the device is closed by all who hold it. */
export async function unmount(directory: string, signal: AbortSignal): Promise<void> {
  await command('umount', ['-l', '--', await canonical(directory)], signal);
}

/**
 * Unmounts and ends the connection, whoever else holds the device: every request fails at once, and a serving thread
 * reads that there will be no more. Mapped pages that are cached stay (notify.ts). Wants CAP_SYS_ADMIN.
 */
export async function abort(directory: string, signal: AbortSignal): Promise<void> {
  await command('umount', ['-f', '-l', '--', await canonical(directory)], signal);
}

/**
 * Takes away what servers of this subtype left behind when they died. Anything else that is mounted there is an error
 * and stays: `mount-in-use` if its server lives, or may live; `mount-foreign` if it is not ours.
 */
export async function clearStale(
  directory: string,
  { subtype, signal }: Pick<MountOptions, 'subtype' | 'signal'>,
): Promise<void> {
  for (let found = await findMount(directory); found !== undefined; found = await findMount(directory)) {
    if (found.type !== `fuse.${subtype}`) {
      throw new FuseError('mount-foreign', `${directory} has ${found.source} (${found.type}) mounted on it`);
    }
    if (!(await isDead(directory, signal)))
      throw new FuseError('mount-in-use', `${directory} is being served already`);
    await unmount(directory, signal);
  }
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

/** No helper, no canonical path: either would ask the file system, which may have no server. */
async function command(
  program: 'mount' | 'umount',
  parameters: readonly string[],
  signal: AbortSignal,
  device?: number,
): Promise<void> {
  const inherit = device === undefined ? {} : { inherit: device };
  const { status, diagnostics } = await run(program, ['-i', '-c', ...parameters], { signal, ...inherit });
  if (status === 0) return;
  const place = parameters.at(-1) ?? '';
  throw new FuseError(
    `${program === 'mount' ? 'mount' : 'unmount'}-failed`,
    `${program} ${place}: ${diagnostics}`,
  );
}

function kernelOptions(readOnly: boolean): string {
  const owner = [`user_id=${process.geteuid?.() ?? 0}`, `group_id=${process.getegid?.() ?? 0}`];
  // No default_permissions: permission.ts decides. max_read holds where pages are larger than 4 KiB, too; there the
  // negotiated page count would mean more.
  const limits = ['allow_other', `max_read=${MAX_READ_BYTES}`, ...(readOnly ? ['ro'] : [])];
  return ['fd=3', 'rootmode=40000', ...owner, ...limits, 'nosuid', 'nodev', 'noexec'].join(',');
}
