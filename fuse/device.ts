/**
 * /dev/fuse: one read is one whole request, one write one whole reply. Reads block, so a device is served by a thread
 * of its own. Errors that are part of the protocol become values here; only what nobody can cure is thrown.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { FuseError, systemCode } from './errors.ts';

const PATH = '/dev/fuse';

/** Opened read-write and close-on-exec: only the child it is handed to inherits it. */
export function openDevice(): number {
  try {
    return openSync(PATH, 'r+');
  } catch (cause) {
    throw new FuseError(
      'device-unavailable',
      `cannot open ${PATH}; is the module fuse loaded, and is this root?`,
      { cause },
    );
  }
}

/** The length of the next request; `again` when there was none after all, `unmounted` when there will be none. */
export function receive(device: number, into: Uint8Array): number | 'again' | 'unmounted' {
  try {
    return readSync(device, into, 0, into.byteLength, null);
  } catch (cause) {
    switch (systemCode(cause)) {
      case 'ENODEV':
        return 'unmounted';
      case 'EINTR':
      case 'EAGAIN':
      case 'ENOENT': // the request was interrupted before it reached us
        return 'again';
      default:
        throw new FuseError('device-failed', 'cannot read a request', { cause });
    }
  }
}

/** False when nobody waits for the reply any more: the request was interrupted, or the mount is gone. */
export function send(device: number, reply: Uint8Array, length: number): boolean {
  try {
    writeSync(device, reply, 0, length);
    return true;
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENODEV') return false;
    throw new FuseError('device-failed', 'the kernel refused a reply', { cause });
  }
}
