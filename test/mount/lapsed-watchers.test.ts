// What processes that watch their view hear of it (docs/operations/files.md), from a real lapsed: inotifywait and Node's
// fs.watch in registered control groups. Each sequence is compared whole, so an event too many fails as one that is lost.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mountsBelow, Host, soon } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { attempts } from '../support/lapsed-inside.ts';
import { Publisher } from '../support/lapsed-publisher.ts';
import type { Probe } from '../support/lapsed-probe.ts';
import { Watcher } from '../support/lapsed-watcher.ts';

const numbered = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const valuesFor = (names: readonly string[], value: string): Map<string, string> =>
  new Map(names.map((name) => [name, value]));
const sorted = (lines: readonly string[]): string[] => [...lines].sort();

describe('on one host', () => {
  let host: Host;
  let publisher: Publisher;

  /** A workload of its own, so that no other test is heard. */
  const workload = async (name: string): Promise<Probe> => host.inWorkload(name);
  const watch = (probe: Probe, ...paths: string[]): Promise<Watcher> =>
    Watcher.inotify(probe, host.mount, ...paths);

  onOneMachine(async () => {
    host = await Host.start();
    for (const namespace of ['rush', 'urgent']) await host.lapse('namespace', 'add', namespace);
    publisher = await Publisher.open(host.places);
    return host;
  });

  /** Publishes many, in as few versions as can be, and waits until `view` has them. */
  async function putMany(
    by: Publisher,
    names: readonly string[],
    value: string,
    view: string,
  ): Promise<void> {
    for (let at = 0; at < names.length; at += 50)
      await by.put(valuesFor(names.slice(at, at + 50), value), view);
    await host.statusOf(`${names.length} files`, ({ files }) => {
      const held = new Set(files.filter((file) => file.view === view).map(({ file }) => file));
      return names.every((name) => held.has(name));
    });
  }

  it('a life: the directory hears each change once, a file what happens to the version that was there', async () => {
    const probe = await workload('life');
    await using directory = await watch(probe, 'w/life');
    await host.put('life', 'first', '--grant', 'life');
    expect(await directory.next(2), 'the first of a view').toEqual([
      'w/life CREATE life',
      'w/life CLOSE_WRITE life',
    ]);
    await host.put('more', 'first', '--grant', 'life');
    expect(await directory.next(2)).toEqual(['w/life CREATE more', 'w/life CLOSE_WRITE more']);

    await using first = await watch(probe, 'w/life/life');
    await host.rotate('life', 'second');
    expect(await directory.next(2)).toEqual(['w/life MODIFY life', 'w/life CLOSE_WRITE life']);
    expect(await first.next(2)).toEqual(['w/life/life MODIFY', 'w/life/life CLOSE_WRITE']);

    await using second = await watch(probe, 'w/life/life');
    await host.rotate('life', 'third');
    expect(await directory.next(2)).toEqual(['w/life MODIFY life', 'w/life CLOSE_WRITE life']);
    expect(await second.next(2)).toEqual(['w/life/life MODIFY', 'w/life/life CLOSE_WRITE']);

    await using third = await watch(probe, 'w/life/life', 'w/life/more');
    await probe.open('w/life/more');
    await host.revoke('life');
    expect(await directory.next(1)).toEqual(['w/life DELETE life']);
    expect(await third.next(1)).toEqual(['w/life/life DELETE_SELF']);
    await host.revoke('more');
    expect(await directory.next(1)).toEqual(['w/life DELETE more']);
    expect(await third.next(2), 'held open').toEqual(['w/life/more ATTRIB', 'w/life/more DELETE_SELF']);

    await host.put('life', 'fourth');
    expect(await directory.next(2)).toEqual(['w/life CREATE life', 'w/life CLOSE_WRITE life']);
    await host.lapse('grant', 'payments/life', 'life', '--as', 'renamed');
    expect(sorted(await directory.next(3))).toEqual([
      'w/life CLOSE_WRITE renamed',
      'w/life CREATE renamed',
      'w/life DELETE life',
    ]);
    await using renamed = await watch(probe, 'w/life/renamed');
    await host.lapse('grant', 'payments/life', 'life', '--withdraw');
    expect(await directory.next(1)).toEqual(['w/life DELETE renamed']);
    expect(await renamed.next(1)).toEqual(['w/life/renamed DELETE_SELF']);

    // Nothing came that was not expected: neither before this, nor for those who watch what is long replaced.
    await host.put('last', 'first', '--grant', 'life');
    expect(await directory.next(1)).toEqual(['w/life CREATE last']);
    for (const watcher of [first, second, third, renamed]) expect(watcher.heardMore).toBe(false);
  });

  it('who reads upon an event gets the new value, fifty times in a row; none is lost', async () => {
    const probe = await workload('fifty');
    await host.put('fifty', '1', '--grant', 'fifty');
    await using reading = await Watcher.reading(probe, host.mount, 'w/fifty');
    await using events = await watch(probe, 'w/fifty');
    for (let version = 2; version <= 51; version++) {
      await publisher.put(valuesFor(['fifty'], String(version)), 'fifty');
      await host.effect(`payments/fifty@${version}`, 'shown');
    }
    const heard = await events.next(100);
    for (const event of ['MODIFY', 'CLOSE_WRITE'])
      expect(heard.filter((line) => line === `w/fifty ${event} fifty`)).toHaveLength(50);
    const values = (await reading.next(50)).map((line) => Number(/^fifty (\d+)$/.exec(line)?.[1]));
    // A reader that is slow may find an even newer one.
    for (const [i, value] of values.entries()) expect(value).toBeGreaterThanOrEqual(i + 2);
    expect(values.at(-1)).toBe(51);
    expect(sorted(values.map(String))).toEqual(sorted(values.toSorted((a, b) => a - b).map(String)));

    await host.revoke('fifty');
    expect(await reading.next(1)).toEqual([expect.stringMatching(/^fifty cat: .*No such file/)]);
    expect(await events.next(1)).toEqual(['w/fifty DELETE fifty']);
    expect([reading.heardMore, events.heardMore]).toEqual([false, false]);
  });

  it('rotation without an overlap: watchers hear, and the new value is there', async () => {
    const probe = await workload('abrupt');
    await host.put('abrupt', '1', '--grant', 'abrupt', '--overlap', '0');
    await using reading = await Watcher.reading(probe, host.mount, 'w/abrupt');
    for (let version = 2; version < 12; version++) {
      await publisher.put(valuesFor(['abrupt'], String(version)), 'abrupt');
      await host.effect(`payments/abrupt@${version}`, 'shown');
      expect(await probe.cat('self/abrupt')).toBe(String(version));
      expect((await reading.upTo(`abrupt ${version}`)).length).toBeLessThanOrEqual(3);
    }
  });

  it('another owner or mode alone: nothing is heard of a plain file', async () => {
    const probe = await workload('altered');
    await host.put('altered', '1', '--grant', 'altered');
    await using events = await watch(probe, 'w/altered', 'w/altered/altered');
    await host.lapse('grant', 'payments/altered', 'altered', '--mode', '0444');
    await expect.poll(() => probe.stat('self/altered'), soon).toBe('100444 1 0 0');
    await host.rotate('altered', '2');
    expect(sorted(await events.next(4))).toEqual([
      'w/altered CLOSE_WRITE altered',
      'w/altered MODIFY altered',
      'w/altered/altered CLOSE_WRITE',
      'w/altered/altered MODIFY',
    ]);
  });

  it('two hundred at once: each arrival, each that leads to another version, each departure', async () => {
    const probe = await workload('many');
    const names = numbered(200, 'many-');
    await putMany(publisher, names, '1', 'stock');
    await using events = await watch(probe, 'w/many');
    const each = (event: string): string[] => names.map((name) => `w/many ${event} ${name}`);
    await publisher.grant(names, 'many');
    expect(sorted(await events.next(400))).toEqual(sorted([...each('CREATE'), ...each('CLOSE_WRITE')]));
    expect(await probe.cat('self/many-199')).toBe('1');

    // Loaded one by one: several tables, each told of.
    await putMany(publisher, names, '2', 'many');
    expect(sorted(await events.next(400))).toEqual(sorted([...each('MODIFY'), ...each('CLOSE_WRITE')]));
    // In one table: more than are held.
    await publisher.takeBack(names);
    const written = new Set(each('CLOSE_WRITE'));
    const modified = new Set(each('MODIFY'));
    while (written.size + modified.size > 0)
      for (const line of await events.next(1))
        expect(written.delete(line) || modified.delete(line)).toBe(true);
    expect(await probe.cat('self/many-199')).toBe('1');

    await publisher.withdraw(names, 'many');
    expect(sorted(await events.next(200))).toEqual(sorted(each('DELETE')));
    expect(await probe.list('self')).toBe('');
    expect(events.heardMore).toBe(false);
  });

  it('a revocation that comes while many arrive is told, and in effect, before all of them have', async () => {
    const probe = await workload('rush');
    const others = numbered(6, 'rush-');
    for (const other of others) await workload(other);
    const names = numbered(500, 'rush-');
    const [rush, urgent] = [
      await Publisher.open(host.places, 'rush'),
      await Publisher.open(host.places, 'urgent'),
    ];
    await urgent.put(valuesFor(['urgent'], '1'), 'rush');
    await putMany(rush, names, '1', 'stock');
    await expect.poll(() => probe.cat('self/urgent'), soon).toBe('1');
    const held = await probe.open('self/urgent');
    await using events = await watch(probe, 'w/rush');
    // Sent as soon as the service has the other: the host hears of both in this order, and in no time.
    await urgent.revoke(['urgent'], rush.grant(names, 'rush', ...others));
    expect(await events.next(1)).toEqual([expect.stringContaining('CREATE')]);
    const before = await events.upTo('w/rush DELETE urgent');
    expect(await probe.read(held)).toBe('EACCES');
    const created = (lines: readonly string[]): number =>
      lines.filter((line) => / CREATE /.test(line)).length;
    expect(created(before)).toBeLessThan(499);
    const rest = await events.next(999 - (before.length - 1));
    expect(created(before) + created(rest)).toBe(499);
  });

  it("what another workload does with one's names silences nobody", async () => {
    const [probe, other] = [await workload('calm'), await workload('noisy')];
    await host.put('calm', '1', '--grant', 'calm');
    await using events = await watch(probe, 'w/calm', 'w/calm/calm');
    for (let version = 2; version < 7; version++) {
      for (const path of ['w/calm', 'w/calm/calm', 'v/calm/..data/calm'])
        expect(await other.stat(path)).toBe('ENOENT');
      await host.rotate('calm', String(version));
      expect(await other.cat('w/calm/calm')).toBe('ENOENT');
      const heard = await events.next(version === 2 ? 4 : 2);
      expect(heard).toContain('w/calm CLOSE_WRITE calm');
    }
  });

  it("Node's fs.watch on the directory, and on the file", async () => {
    const probe = await workload('nodejs');
    await host.put('conf', '1', '--grant', 'nodejs');
    await using file = await Watcher.node(probe, host.mount, 'w/nodejs/conf');
    await using directory = await Watcher.node(probe, host.mount, 'w/nodejs');
    await host.rotate('conf', '2');
    expect(await directory.next(1)).toEqual(['w/nodejs change conf 2']);
    expect(await file.next(1)).toEqual(['w/nodejs/conf change conf 2']);
    await host.put('second', '1', '--grant', 'nodejs');
    expect(await directory.next(1)).toEqual(['w/nodejs rename second 1']);
    await using again = await Watcher.node(probe, host.mount, 'w/nodejs/conf');
    await host.revoke('conf');
    expect(await directory.next(1)).toEqual(['w/nodejs rename conf ENOENT']);
    const gone = 'w/nodejs/conf rename conf ENOENT';
    expect(await again.next(2), 'it is gone, and watched no longer').toEqual([gone, gone]);
    expect(file.heardMore, 'of the version that was replaced before').toBe(false);
  });

  it('nobody else can make anybody hear it: by the public way, or as root by the private one', async () => {
    const probe = await workload('true');
    await host.put('true', '1', '--grant', 'true');
    await using events = await watch(probe, 'w/true', 'v/true', 'w/true/true');
    const places = { public: host.mount, private: join(dirname(host.places.control), 'fs') };
    for (const [which, mount] of Object.entries(places)) {
      for (const style of ['w', 'v']) {
        const fake = await attempts(probe, join(mount, style, 'true'), 'true');
        expect(fake.length).toBeGreaterThan(10);
        for (const attempt of fake) expect(attempt, `${which} ${style}`).toMatch(/: EROFS$/);
      }
    }
    const writable = join(host.places.work, 'writable');
    await mkdir(writable);
    await writeFile(join(writable, 'true'), '1');
    for (const attempt of await attempts(probe, writable, 'true')) expect(attempt).toMatch(/: done$/);

    await host.rotate('true', '2');
    expect(sorted(await events.next(6)), 'control, and nothing before it').toEqual([
      'v/true MOVED_FROM ..data_tmp',
      'v/true MOVED_TO ..data',
      'w/true CLOSE_WRITE true',
      'w/true MODIFY true',
      'w/true/true CLOSE_WRITE',
      'w/true/true MODIFY',
    ]);
  });
});

describe('when the server is replaced', () => {
  /** Waits for another server, under a lease. */
  async function replaced(host: Host, old: number): Promise<void> {
    await host.lapsed.serverAfter(old);
    await host.statusOf('lease', ({ lease }) => lease.holds);
  }

  it('watches go on: after an upgrade as before; what changed around a crash is told when it is over', async () => {
    await using host = await Host.start();
    const publisher = await Publisher.open(host.places);
    const probe = await host.inWorkload('web');
    for (const name of ['db', 'gone', 'same']) await host.put(name, '1', '--grant', 'web');
    await using events = await Watcher.inotify(probe, host.mount, 'w/web');
    await using file = await Watcher.inotify(probe, host.mount, 'w/web/db');

    const { server: first } = host.lapsed;
    host.lapsed.signal('SIGHUP');
    await replaced(host, first);
    await host.rotate('db', '2');
    expect(await events.next(2)).toEqual(['w/web MODIFY db', 'w/web CLOSE_WRITE db']);
    expect(await file.next(2)).toEqual(['w/web/db MODIFY', 'w/web/db CLOSE_WRITE']);

    const { server: second } = host.lapsed;
    process.kill(second, 'SIGKILL');
    await publisher.revoke(['gone']);
    await publisher.put(
      new Map([
        ['db', '3'],
        ['new', '1'],
      ]),
      'web',
    );
    await replaced(host, second);
    const heard = sorted(await events.next(5));
    expect(heard).toEqual([
      'w/web CLOSE_WRITE db',
      'w/web CLOSE_WRITE new',
      'w/web CREATE new',
      'w/web DELETE gone',
      'w/web MODIFY db',
    ]);
    expect([await probe.cat('self/db'), await probe.cat('self/gone'), await probe.cat('self/same')]).toEqual([
      '3',
      'ENOENT',
      '1',
    ]);
    await host.rotate('same', '2');
    expect(await events.next(2)).toEqual(['w/web MODIFY same', 'w/web CLOSE_WRITE same']);
  });

  it('nothing is heard of a lease that ends; of the end of lapsed, that it is unmounted', async () => {
    await using host = await Host.start({ lease: '3s' });
    const probe = await host.inWorkload('web');
    await host.put('db', '1', '--grant', 'web');
    await using events = await Watcher.inotify(probe, host.mount, 'w/web', 'w/web/db');
    await host.stopService();
    await host.statusOf('end of the lease', ({ lease }) => !lease.holds);
    expect(await probe.cat('self/db')).toBe('EACCES');
    await host.startService();
    await host.statusOf('lease', ({ lease }) => lease.holds);
    expect(await probe.cat('self/db')).toBe('1');
    await host.lapsed.end();
    expect(mountsBelow(host.places.work)).toEqual([]);
    expect(sorted(await events.next(2))).toEqual(['w/web UNMOUNT,ISDIR', 'w/web/db UNMOUNT']);
  });
});
