// The style of Kubernetes on a real mount: `..data` leads to the directory of all files, and switches them at once. What
// readers, watchers, those who hold an old directory, and other workloads see of it.
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Host, soon } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { Rereader } from '../support/lapsed-inside.ts';
import { Publisher } from '../support/lapsed-publisher.ts';
import type { Probe } from '../support/lapsed-probe.ts';
import { valueOf } from '../support/lapsed-values.ts';
import { Watcher } from '../support/lapsed-watcher.ts';

const SWITCH = ['MOVED_FROM ..data_tmp', 'MOVED_TO ..data'] as const;

let host: Host;
let publisher: Publisher;

onOneMachine(async () => {
  host = await Host.start();
  publisher = await Publisher.open(host.places);
  return host;
});

/** Each value tells whether it is whole. */
const put = (name: string, number: number, ...args: string[]): Promise<string> =>
  host.put(name, valueOf(number), ...args);

/** The next version of one secret; returns when it is in effect. */
async function rotate(name: string, number: number): Promise<void> {
  const [path = ''] = await publisher.put(new Map([[name, valueOf(number)]]), 'nobody');
  await host.effect(path, 'shown');
}

const switches = (view: string, times = 1): string[] =>
  Array.from({ length: times }, () => SWITCH.map((event) => `v/${view} ${event}`)).flat();
const sorted = (text: string): string[] => text.split(' ').sort();
const generation = (probe: Probe, view: string): Promise<string> => probe.link(`v/${view}/..data`);

it('`volume` leads to it; each name leads through `..data` to the file that the view has, too', async () => {
  const probe = await host.inWorkload('web');
  await put('db', 1, '--grant', 'web');
  await host.lapse('grant', 'payments/db', 'web', '--as', 'db.conf', '--uid', '1000', '--mode', '0440');
  await put('key', 2, '--grant', 'web');
  await expect.poll(() => probe.list('w/web').then(sorted), soon).toEqual(['db.conf', 'key']);
  const current = await generation(probe, 'web');
  expect(current).toMatch(/^\.\.[0-9a-f]{16}$/);
  expect(await probe.link('volume')).toBe('v/web');
  expect(sorted(await probe.list('volume/'))).toEqual(['..data', current, 'db.conf', 'key'].sort());
  expect(sorted(await probe.list('volume/..data/'))).toEqual(['db.conf', 'key']);
  for (const [name, number] of [
    ['db.conf', 1],
    ['key', 2],
  ] as const) {
    expect(await probe.link(`volume/${name}`)).toBe(`..data/${name}`);
    const ways = ['w/web', 'v/web', 'v/web/..data', `v/web/${current}`, 'self', 'volume'];
    for (const way of ways) expect(await probe.cat(`${way}/${name}`), way).toBe(valueOf(number));
    expect(await probe.stat(`v/web/..data/${name}`)).toBe(await probe.stat(`w/web/${name}`));
  }
  expect(await probe.cat('volume/none')).toBe('ENOENT');
});

it('every change is one switch for who watches: arrival, rotation, owner or mode, name, revocation', async () => {
  const probe = await host.inWorkload('changes');
  await using events = await Watcher.inotify(probe, host.mount, 'v/changes');
  const seen = [await generation(probe, 'changes')];
  const changes = [
    () => put('changing', 1, '--grant', 'changes'),
    () => host.rotate('changing', valueOf(2)),
    () => host.lapse('grant', 'payments/changing', 'changes', '--mode', '0444'),
    () => host.lapse('grant', 'payments/changing', 'changes', '--as', 'other'),
    () => host.revoke('changing'),
  ];
  for (const change of changes) {
    await change();
    expect(await events.next(2)).toEqual(switches('changes'));
    seen.push(await generation(probe, 'changes'));
  }
  // Back to nothing is back to the name of nothing.
  expect(new Set(seen).size).toBe(changes.length);
  expect(seen.at(-1)).toBe(seen[0]);
  expect(sorted(await probe.list('v/changes'))).toEqual(['..data', seen.at(-1)]);
  await put('changing', 3);
  expect(await events.next(2)).toEqual(switches('changes'));
  expect(events.heardMore).toBe(false);
});

it('two workloads that change together are told both, each time', async () => {
  const [left, right] = [await host.inWorkload('left'), await host.inWorkload('right')];
  await put('of-left', 1, '--grant', 'left');
  await put('of-right', 1, '--grant', 'right');
  const names = ['of-left', 'of-right'];
  await using heardLeft = await Watcher.inotify(left, host.mount, 'v/left', 'w/left');
  await using heardRight = await Watcher.inotify(right, host.mount, 'v/right', 'w/right');
  for (let number = 2; number < 32; number++) {
    const before = [await generation(left, 'left'), await generation(right, 'right')];
    await publisher.put(new Map(names.map((name) => [name, valueOf(number)])), 'nobody');
    for (const [view, events] of [
      ['left', heardLeft],
      ['right', heardRight],
    ] as const) {
      const heard = await events.next(4);
      expect(heard.filter((line) => line.startsWith('v/'))).toEqual(switches(view));
    }
    expect(await left.cat('volume/of-left')).toBe(valueOf(number));
    expect(await right.cat('volume/of-right')).toBe(valueOf(number));
    expect(before).not.toContain(await generation(left, 'left'));
    expect(before).not.toContain(await generation(right, 'right'));
  }
});

it('`..data_tmp` is there for nobody, also while it is renamed', async () => {
  const [probe, asking] = [await host.inWorkload('tmp'), await host.inWorkload('tmp')];
  await put('tmp', 1, '--grant', 'tmp');
  await using events = await Watcher.inotify(probe, host.mount, 'v/tmp');
  const over = new AbortController();
  const asked = (async () => {
    const answers = new Set<string>();
    let count = 0;
    for (; !over.signal.aborted; count++) {
      answers.add(await asking.stat('v/tmp/..data_tmp')).add(await asking.link('v/tmp/..data_tmp'));
      answers.add((await asking.list('v/tmp')).includes('..data_tmp') ? 'listed' : 'not listed');
    }
    return { answers, count };
  })();
  const changed = (async () => {
    for (let number = 2; number < 22; number++) await rotate('tmp', number);
    expect(await events.next(40), 'control: it was renamed').toEqual(switches('tmp', 20));
  })();
  const [{ answers, count }] = await Promise.all([asked, changed.finally(() => over.abort())]);
  expect(count).toBeGreaterThan(20);
  expect(answers).toEqual(new Set(['ENOENT', 'not listed']));
  expect(await asking.link('v/tmp/..data'), 'control: the same question').toMatch(/^\.\.[0-9a-f]+$/);
});

it('who reads without rest sees whole values and no error, through a hundred switches', async () => {
  const probe = await host.inWorkload('hammered');
  await put('hammered', 1, '--grant', 'hammered');
  const path = join(host.mount, 'v/hammered/hammered');
  await using reader = await Rereader.start(probe, 'each', path);
  for (let number = 2; number <= 101; number++) await rotate('hammered', number);
  const seen = await reader.seen();
  for (const what of seen.keys()) expect(what).toMatch(/^\d+$/);
  expect(seen.size).toBeGreaterThan(50);

  // Controls: it tells of an error, and of a value that is not whole.
  await using other = await Rereader.start(probe, 'each', path);
  await host.revoke('hammered');
  await expect.poll(() => probe.cat('volume/hammered'), soon).toBe('ENOENT');
  const errors = [...(await other.seen()).keys()].filter((what) => what !== '101');
  expect(errors).toContain('ENOENT');
  // Who has found the name already, and not yet opened it.
  expect(errors.filter((what) => what !== 'ENOENT' && what !== 'EACCES')).toEqual([]);
  const torn = join(host.places.work, 'torn');
  await writeFile(torn, valueOf(7).replace('7 .', '8 .'));
  await using mixed = await Rereader.start(probe, 'each', torn);
  expect([...(await mixed.seen()).keys()]).toEqual(['torn']);
});

it('two files through one `..data` are of one switch', async () => {
  const probe = await host.inWorkload('pair');
  await put('first', 0, '--grant', 'pair');
  await put('second', 0, '--grant', 'pair');
  const data = join(host.mount, 'v/pair/..data');
  await using reader = await Rereader.start(probe, 'pair', data, 'first', 'second');
  // Only ever: both alike, or the first one ahead.
  const rounds = 25;
  for (let number = 1; number <= rounds; number++) {
    await rotate('first', number);
    await rotate('second', number);
  }
  const states = new Set(['ESTALE']);
  for (let i = 0; i <= rounds; i++) states.add(`${i} ${i}`).add(`${i + 1} ${i}`);
  const seen = await reader.seen();
  expect([...seen.keys()].filter((state) => !states.has(state))).toEqual([]);
  expect(seen.size).toBeGreaterThan(rounds);
});

it('control: two files of a directory that switches under its reader can be of two', async () => {
  const probe = await host.inWorkload('control');
  const directory = join(host.places.work, 'plain');
  await mkdir(directory);
  const write = async (name: string, number: number): Promise<void> => {
    await writeFile(join(directory, `${name}.new`), valueOf(number));
    await rename(join(directory, `${name}.new`), join(directory, name));
  };
  for (const name of ['first', 'second']) await write(name, 0);
  const data = join(host.places.work, '..data');
  await symlink('plain', data);
  await using reader = await Rereader.start(probe, 'pair', data, 'first', 'second');
  for (let number = 1; number <= 1000; number++) {
    await write('first', number);
    await write('second', number);
  }
  const behind = [...(await reader.seen()).keys()].filter((state) => {
    const [first, second] = state.split(' ').map(Number);
    return second! > first!;
  });
  expect(behind.length).toBeGreaterThan(0);
});

it('an old generation: its name is gone, what is held of it ends with its files', async () => {
  const probe = await host.inWorkload('held');
  const before = await put('rotated', 1, '--grant', 'held', '--overlap', '3s');
  await put('revoked', 2, '--grant', 'held');
  await put('unread', 3, '--grant', 'held');
  const old = await generation(probe, 'held');
  const directory = `/proc/self/fd/${await probe.open('v/held/..data')}`;
  const file = await probe.open(`${directory}/revoked`);
  expect(await probe.read(file)).toBe(valueOf(2));
  expect(await probe.cat(`${directory}/rotated`)).toBe(valueOf(1));

  await host.rotate('rotated', valueOf(10));
  expect(await generation(probe, 'held')).not.toBe(old);
  expect(await probe.cat('v/held/rotated')).toBe(valueOf(10));
  // A name that the kernel knows in there leads to the version that it led to, while that lives.
  expect([valueOf(1), 'ESTALE']).toContain(await probe.cat(`${directory}/rotated`));
  expect(await probe.cat(`${directory}/unread`), 'never looked up in there').toBe('ESTALE');
  expect(await probe.list(directory)).toBe('ESTALE');
  await host.effect(before, 'withdrawn');
  expect(await probe.cat(`${directory}/rotated`)).toMatch(/^(EACCES|ESTALE)$/);
  expect(await probe.list('v/held')).not.toContain(old);
  expect(await probe.stat(`v/held/${old}`)).toMatch(/^(ESTALE|ENOENT)$/);

  expect(await probe.read(file), 'control').toBe(valueOf(2));
  await host.revoke('revoked');
  expect(await probe.read(file)).toBe('EACCES');
  for (const path of [`${directory}/revoked`, `v/held/${old}/revoked`, 'v/held/revoked'])
    expect(await probe.cat(path)).toMatch(/^(EACCES|ENOENT|ESTALE)$/);
  expect(await probe.cat('v/held/rotated')).toBe(valueOf(10));
});

it('another workload finds nothing of it, by no path and no descriptor', async () => {
  const [probe, other] = [await host.inWorkload('mine'), await host.inWorkload('theirs')];
  await put('mine', 1, '--grant', 'mine');
  await put('theirs', 2, '--grant', 'theirs');
  const current = await generation(probe, 'mine');
  const heir = await host.inWorkload('mine');
  const [volume, directory] = [await heir.open('v/mine'), await heir.open('v/mine/..data')];
  const paths = ['v/mine', ...['mine', '..data', '..data/mine', current].map((name) => `v/mine/${name}`)];
  const held = [volume, directory].map((fd) => `/proc/self/fd/${fd}/mine`);
  for (const path of paths) expect(await probe.stat(path), 'control').not.toMatch(/^E/);
  for (const path of held) expect(await heir.cat(path), 'control').toBe(valueOf(1));

  for (const path of paths) {
    for (const answer of [other.stat(path), other.cat(path), other.list(path)])
      expect(await answer, path).toBe('ENOENT');
  }
  expect(await other.list('v')).toBe('theirs');
  await heir.move(other.group);
  expect(await heir.cat('volume/theirs')).toBe(valueOf(2));
  for (const path of held) expect(await heir.cat(path)).toMatch(/^(ENOENT|EACCES)$/);
  expect(await heir.list(`/proc/self/fd/${volume}`)).toMatch(/^(ENOENT|EACCES)$/);
  expect(await heir.list(`/proc/self/fd/${directory}`)).toMatch(/^(ENOENT|EACCES)$/);
});
