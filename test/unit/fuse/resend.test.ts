import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refuseLost, uniqueOf } from '../../../fuse/resend.ts';
import { u32, u64 } from '../../support/fuse-messages.ts';

// A plain file stands in for a device on which every number is waited for.
let directory: string;
let device: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-resend-'));
  device = openSync(join(directory, 'device'), 'wx+');
});

afterEach(() => {
  closeSync(device);
  rmSync(directory, { recursive: true });
});

const refusal = (unique: bigint): Buffer => Buffer.concat([u32(16), u32(0xffff_ffff - 12), u64(unique)]);
const written = (): Buffer => readFileSync(join(directory, 'device'));

describe('requests that an earlier server took', () => {
  it('are refused downwards from the first of our own, which is not touched', async () => {
    expect(await refuseLost({ device, below: 1000n, most: 3 })).toBe(3);
    expect(written()).toEqual(Buffer.concat([998n, 996n, 994n].map(refusal)));
  });

  it('are looked for down to the first of all', async () => {
    expect(await refuseLost({ device, below: 6n, most: 10 })).toBe(2);
    expect(written()).toEqual(Buffer.concat([4n, 2n].map(refusal)));
  });

  it('are looked for no further than a bound', async () => {
    expect(await refuseLost({ device, below: 2n ** 62n, most: Infinity })).toBe(65_536);
    expect(written().subarray(-16)).toEqual(refusal(2n ** 62n - 2n * 65_536n));
  });

  it('cannot be refused on a device that fails', async () => {
    const odd = openSync(directory, 'r');
    const failed = refuseLost({ device: odd, below: 10n, most: 1 });
    await expect(failed).rejects.toMatchObject({ code: 'device-failed' });
    closeSync(odd);
  });
});

describe('the number of a request', () => {
  it('is told without the mark of one that is sent again', () => {
    const request = (unique: bigint): Buffer => Buffer.concat([u32(40, 1), u64(unique), u64(0, 0, 0)]);
    expect(uniqueOf(request(0x1234n))).toBe(0x1234n);
    expect(uniqueOf(request(0x8000_0000_0000_1234n))).toBe(0x1234n);
  });
});
