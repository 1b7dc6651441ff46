import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { receive, send } from '../../../fuse/device.ts';
import { Notifier } from '../../../fuse/notify.ts';
import { u32, u64 } from '../../support/fuse-messages.ts';

// A plain file stands in for the device: it keeps what was written, in order.
let directory: string;
let device: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-notify-'));
  device = openSync(join(directory, 'device'), 'wx+');
});

afterEach(() => {
  closeSync(device);
  rmSync(directory, { recursive: true });
});

describe('notifications', () => {
  it('have the layout of the kernel', async () => {
    const notifier = new Notifier(device);
    const node = 2 ** 51 + 3;
    await notifier.invalidateInode(node);
    await notifier.invalidateEntry(1, 'né');
    await notifier.deleteEntry(1, node, 'gone');
    await notifier.resend();
    const expected = Buffer.concat([
      ...[u32(40, 2), u64(0), u64(node, 0, 0)],
      ...[u32(36, 3), u64(0), u64(1), u32(3, 0), Buffer.from('né\0')],
      ...[u32(45, 6), u64(0), u64(1, node), u32(4, 0), Buffer.from('gone\0')],
      ...[u32(16, 7), u64(0)],
    ]);
    expect(readFileSync(join(directory, 'device'))).toEqual(expected);
  });

  it('are all written, once each, when there are more than are written at once', async () => {
    const notifier = new Notifier(device);
    const nodes = Array.from({ length: 1000 }, (_, i) => i + 1);
    const told = await Promise.all(nodes.map((node) => notifier.invalidateInode(node)));
    expect(told).toEqual(nodes.map(() => true));
    const bytes = readFileSync(join(directory, 'device'));
    expect(bytes).toHaveLength(1000 * 40);
    const written = nodes.map((_, i) => Number(bytes.readBigUInt64LE(i * 40 + 16)));
    expect(written.sort((a, b) => a - b)).toEqual(nodes);
  });

  it('that fail are typed, and do not stop the next', async () => {
    const closed = openSync(join(directory, 'device'), 'r');
    const notifier = new Notifier(closed);
    const [first, second] = await Promise.allSettled([
      notifier.invalidateInode(1),
      notifier.invalidateInode(2),
    ]);
    closeSync(closed);
    for (const { status, reason } of [first, second] as PromiseRejectedResult[]) {
      expect({ status, reason: reason as unknown }).toMatchObject({
        status: 'rejected',
        reason: { code: 'notify-failed', cause: { code: 'EBADF' } },
      });
    }
  });

  it.each(['', 'x'.repeat(256)])('refuse the name %j', (name) => {
    expect(() => new Notifier(device).invalidateEntry(1, name)).toThrow(RangeError);
  });
});

describe('a device that fails for good', () => {
  it('is a typed error', () => {
    const odd = openSync(directory, 'r');
    const failed = expect.objectContaining({ code: 'device-failed' }) as Error;
    expect(() => receive(odd, new Uint8Array(16))).toThrow(failed);
    expect(() => send(odd, new Uint8Array(16), 16)).toThrow(failed);
    closeSync(odd);
  });
});
