// The configuration: what it means when it says little, and that nothing is guessed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig, readConfig } from '../../../daemon/config.ts';
import { DaemonError } from '../../../daemon/errors.ts';

const parse = (more = ''): ReturnType<typeof parseConfig> => parseConfig(more, 'lapsed.toml');

test('what is not said has its default', () => {
  expect(parse()).toEqual({
    state: '/var/lib/lapsed',
    mount: '/run/lapse/fs',
    control: '/run/lapsed/control.sock',
    engine: 'kernel',
    arena: 6 << 20,
    slots: 1024,
    lingerMs: 10_000,
    deadAfterMs: 1000,
    drill: { consent: 'off', cap: 1000, probe: expect.stringMatching(/^\/.*\/probe$/) as string, exec: [] },
  });
});

test('a host takes part in drills only when it says so, within a cap, by the probe that it names', () => {
  const said = parse(
    'drill = "crash"\ndrill_cap = 20\ndrill_probe = "/opt/probe"\ndrill_exec = ["runc", "exec", "--preserve-fds", "1", "web-1"]\n',
  );
  expect(said.drill).toEqual({
    consent: 'crash',
    cap: 20,
    probe: '/opt/probe',
    exec: ['runc', 'exec', '--preserve-fds', '1', 'web-1'],
  });
  expect(parse('drill = "on"').drill.consent).toBe('on');
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
  test.for<[string, string, RegExp]>([
    ['an unknown key', 'lingr = "1s"', /lapsed\.toml: lingr is unknown/],
    ['an unknown table', `[vault]\nslots = 1`, /vault is unknown/],
    ['a key named __proto__', `__proto__ = 1`, /__proto__ is unknown/],
    ['what lapsed.toml once had', 'service = "http://127.0.0.1:7700"', /service is unknown/],
    ['a relative mount', `mount = "run"`, /mount must be an absolute path/],
    ['an empty state', `state = ""`, /state must be a text/],
    ['a size without a unit', `arena = "6"`, /arena must be a size/],
    ['a size as a number', `arena = 6`, /arena must be a text/],
    ['an arena too small for anything', `arena = "64 KiB"`, /arena must be from 1 MiB/],
    ['an arena larger than memory', `arena = "999999 MiB"`, /arena must be from 1 MiB/],
    ['a size in GiB', `arena = "6 GiB"`, /arena must be a size/],
    ['a limit shorter than a heartbeat', `dead_after = "100ms"`, /dead_after must be from 500ms/],
    ['a time without a unit', `linger = "10"`, /linger must be a time/],
    ['a time in hours', `linger = "1h"`, /linger must be a time/],
    ['no slots', `slots = 0`, /slots must be a number from 1 to 65536/],
    ['too many slots', `slots = 65537`, /slots must be a number/],
    ['half a slot', `slots = 1.5`, /slots must be a number/],
    ['slots as a text', `slots = "9"`, /slots must be a number/],
    ['another engine', `engine = "fuse"`, /engine must be one of: kernel, fuse-native/],
    ['fuse-native without a workload', `engine = "fuse-native"`, /workload is needed/],
    ['a workload for the kernel engine', `workload = "web"`, /workload is needed .* only there/],
    ['a workload that is none', `engine = "fuse-native"\nworkload = "a b"`, /workload is not a workload/],
    ['a drill that is neither off nor on', `drill = true`, /drill must be one of: off, on, crash/],
    [
      'a drill where callers cannot be told apart',
      `engine = "fuse-native"\nworkload = "web"\ndrill = "on"`,
      /drill needs the engine "kernel"/,
    ],
    ['no trials a day', `drill = "on"\ndrill_cap = 0`, /drill_cap must be a number from 1 to 100000/],
    ['a probe looked for on a path', `drill_probe = "probe"`, /drill_probe must be an absolute path/],
    ['words in one text', `drill_exec = "runc exec web-1"`, /drill_exec must be a list of words/],
    ['a word that is empty', `drill_exec = ["runc", ""]`, /drill_exec must be a list of words/],
    ['a word that is a number', `drill_exec = ["runc", 1]`, /drill_exec must be a list of words/],
    ['a key twice', `slots = 1\nslots = 2`, /lapsed\.toml: /],
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
    expect((await readConfig(path, { optional: true })).slots).toBe(1024);
    writeFileSync(path, 'slots = 7');
    expect((await readConfig(path)).slots).toBe(7);
    await expect(readConfig(directory, { optional: true })).rejects.toMatchObject({
      code: 'config-unreadable',
    });
    rmSync(directory, { recursive: true });
  });
});
