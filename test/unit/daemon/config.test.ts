// The configuration: what it means when it says little, and that nothing is guessed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig, readConfig } from '../../../daemon/config.ts';
import { DaemonError } from '../../../daemon/errors.ts';

const LEAST = `service = "http://127.0.0.1:7700"
root = "/etc/lapse/root.json"
pool_keys = ["/etc/lapse/default.x25519"]
`;
const parse = (more = ''): ReturnType<typeof parseConfig> => parseConfig(`${LEAST}${more}`, 'lapsed.toml');

test('what is not said has its default', () => {
  expect(parse()).toEqual({
    service: 'http://127.0.0.1:7700',
    root: '/etc/lapse/root.json',
    poolKeys: ['/etc/lapse/default.x25519'],
    state: '/var/lib/lapsed',
    mount: '/run/lapse/fs',
    control: '/run/lapsed/control.sock',
    engine: 'kernel',
    arena: 6 << 20,
    slots: 1024,
    lingerMs: 10_000,
    deadAfterMs: 1000,
  });
});

test('what is said counts', () => {
  const said = parse(
    'state = "/s"\nmount = "/m"\ncontrol = "/c"\narena = "1024 KiB"\nslots = 65536\nlinger = "2m"\n',
  );
  expect(said).toMatchObject({
    state: '/s',
    mount: '/m',
    control: '/c',
    arena: 1 << 20,
    slots: 65_536,
    lingerMs: 120_000,
  });
  expect(parse('arena = "8MiB"\nlinger = "500ms"')).toMatchObject({ arena: 8 << 20, lingerMs: 500 });
});

test('fuse-native is for one workload, which it must be told', () => {
  expect(parse('engine = "fuse-native"\nworkload = "web"')).toMatchObject({
    engine: 'fuse-native',
    workload: 'web',
  });
});

describe('refused', () => {
  const without = (key: string): string =>
    LEAST.split('\n')
      .filter((line) => !line.startsWith(key))
      .join('\n');

  test.for<[string, string, RegExp]>([
    ['an unknown key', `${LEAST}lingr = "1s"`, /lapsed\.toml: lingr is unknown/],
    ['an unknown table', `${LEAST}[vault]\nslots = 1`, /vault is unknown/],
    ['a key named __proto__', `${LEAST}__proto__ = 1`, /__proto__ is unknown/],
    ['no service', without('service'), /service must be a text/],
    ['no root', without('root'), /root must be/],
    ['no pool keys', without('pool_keys'), /pool_keys must be a list/],
    ['an empty list of pool keys', `${without('pool_keys')}pool_keys = []`, /pool_keys must be a list/],
    ['a relative pool key', `${without('pool_keys')}pool_keys = ["a"]`, /pool_keys must be an absolute path/],
    [
      'a number for a pool key',
      `${without('pool_keys')}pool_keys = [1]`,
      /pool_keys must be an absolute path/,
    ],
    ['a relative mount', `${LEAST}mount = "run"`, /mount must be an absolute path/],
    ['an empty state', `${LEAST}state = ""`, /state must be a text/],
    ['a size without a unit', `${LEAST}arena = "6"`, /arena must be a size/],
    ['a size as a number', `${LEAST}arena = 6`, /arena must be a text/],
    ['an arena too small for anything', `${LEAST}arena = "64 KiB"`, /arena must be from 1 MiB/],
    ['an arena larger than memory', `${LEAST}arena = "999999 MiB"`, /arena must be from 1 MiB/],
    ['a size in GiB', `${LEAST}arena = "6 GiB"`, /arena must be a size/],
    ['a limit shorter than a heartbeat', `${LEAST}dead_after = "100ms"`, /dead_after must be from 500ms/],
    ['a time without a unit', `${LEAST}linger = "10"`, /linger must be a time/],
    ['a time in hours', `${LEAST}linger = "1h"`, /linger must be a time/],
    ['no slots', `${LEAST}slots = 0`, /slots must be a number from 1 to 65536/],
    ['too many slots', `${LEAST}slots = 65537`, /slots must be a number/],
    ['half a slot', `${LEAST}slots = 1.5`, /slots must be a number/],
    ['slots as a text', `${LEAST}slots = "9"`, /slots must be a number/],
    ['another engine', `${LEAST}engine = "fuse"`, /engine must be one of: kernel, fuse-native/],
    ['fuse-native without a workload', `${LEAST}engine = "fuse-native"`, /workload is needed/],
    ['a workload for the kernel engine', `${LEAST}workload = "web"`, /workload is needed .* only there/],
    [
      'a workload that is none',
      `${LEAST}engine = "fuse-native"\nworkload = "a b"`,
      /workload is not a workload/,
    ],
    ['a key twice', `${LEAST}slots = 1\nslots = 2`, /lapsed\.toml: /],
    ['no TOML', 'service: x', /lapsed\.toml: /],
  ])('%s', ([, text, message]) => {
    const error = (() => {
      try {
        return parseConfig(text, 'lapsed.toml');
      } catch (reason) {
        return reason;
      }
    })();
    expect(error).toBeInstanceOf(DaemonError);
    expect(error).toMatchObject({ code: 'config-malformed' });
    expect((error as Error).message).toMatch(message);
  });

  test('a file that cannot be read, and one that can', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-config-'));
    const path = join(directory, 'lapsed.toml');
    await expect(readConfig(path)).rejects.toMatchObject({ code: 'config-unreadable' });
    writeFileSync(path, LEAST);
    expect((await readConfig(path)).slots).toBe(1024);
    rmSync(directory, { recursive: true });
  });
});
