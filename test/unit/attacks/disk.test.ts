// A host's own disk: broken off in the middle of a write, or put back as it was once. What is there is verified again and
// only guards against rollback, so the most that a disk can do is remember less. Then what the network may show is bounded by
// the service's answer to a nonce, which names the newest; against a service that lies, too, by `expires` alone.
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { ClientError } from '../../../client/errors.ts';
import type { Updater } from '../../../client/updater.ts';
import { signEcho } from '../../../manifest/realm/echo.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import { BILLING, DB, Stage, onDisk, readable, versions } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

let copies = 0;
/** The disk as it is now, elsewhere. */
function copied(of = stage.directory): string {
  const to = `${stage.directory}-copy-${++copies}`;
  cpSync(of, to, { recursive: true });
  return to;
}

/** What a host remembers of a revocation that its service, or the network, would have it forget. */
async function revoked(): Promise<() => void> {
  const back = stage.service.checkpoint();
  stage.service.put(stage.realm.takeBack('billing', 'db', 1));
  stage.service.put(stage.realm.revoke('payments', 'db', 1));
  await stage.updater.refresh();
  await stage.updater.persist();
  return back;
}

const db1 = (updater: Updater): string[] =>
  readable(updater.state).filter((path) => /^(billing|payments)\/db@1 /.test(path));

describe('torn writes of the persisted state', () => {
  /** Either it says that it is damaged, or it holds what was saved before or after, whole; never a first start. */
  async function holds(
    directory: string,
    states: readonly Readonly<Record<string, number>>[],
  ): Promise<void> {
    try {
      const { state } = await stage.open(directory);
      expect(states).toContainEqual(versions(state.set));
    } catch (error) {
      expect(error).toBeInstanceOf(ClientError);
      expect(error).toMatchObject({ code: 'trust-store-unreadable' });
    }
  }

  test('a save that breaks off after any of its steps', async () => {
    const [before, old] = [copied(), versions(stage.updater.state.set)];
    await revoked();
    const next = versions(stage.updater.state.set);
    const added = Object.keys(onDisk(stage.directory)).filter((name) => name !== 'trusted.json');
    const steps = [...added, 'trusted.json'];
    for (let done = 0; done <= steps.length; done++) {
      for (const part of [0, 0.5, 1]) {
        const directory = copied(before);
        for (const name of steps.slice(0, done)) cpSync(join(stage.directory, name), join(directory, name));
        const doing = steps[done];
        if (doing) {
          const bytes = readFileSync(join(stage.directory, doing));
          writeFileSync(join(directory, `${doing}.new`), bytes.subarray(0, bytes.length * part));
        }
        const { state } = await stage.open(directory);
        expect(versions(state.set)).toEqual(done === steps.length ? next : old);
      }
    }
  });

  test('any file, cut short or with its end in zeros: damage, and never a first start', async () => {
    await revoked();
    const saved = versions(stage.updater.state.set);
    const names = Object.keys(onDisk(stage.directory));
    const directory = copied();
    const tear = fc.asyncProperty(
      fc.constantFrom(...names),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.boolean(),
      async (name, part, zeros) => {
        const [path, bytes] = [join(directory, name), readFileSync(join(stage.directory, name))];
        const length = Math.floor(bytes.length * part);
        truncateSync(path, length);
        if (zeros) truncateSync(path, bytes.length);
        try {
          await expect(stage.open(directory)).rejects.toMatchObject({ code: 'trust-store-unreadable' });
        } finally {
          writeFileSync(path, bytes);
        }
      },
    );
    await fc.assert(tear, { numRuns: 40, endOnFailure: true });
    expect(versions((await stage.open(directory)).state.set)).toEqual(saved);
  });

  test('any bytes in any file: what it says is signed, or it is damage', async () => {
    const saved = versions(stage.updater.state.set);
    const names = Object.keys(onDisk(stage.directory)).filter((name) => name !== 'trusted.json');
    const directory = copied();
    const tear = fc.asyncProperty(fc.constantFrom(...names), fc.nat(), fc.nat(254), async (name, at, by) => {
      const [path, bytes] = [join(directory, name), readFileSync(join(stage.directory, name))];
      const place = at % bytes.length;
      writeFileSync(path, bytes.with(place, (bytes[place]! + by + 1) % 256));
      await holds(directory, [saved]);
      writeFileSync(path, bytes);
    });
    await fc.assert(tear, { numRuns: 40, endOnFailure: true });
  });

  test('the files of two saves, in each other’s place', async () => {
    const before = copied();
    await revoked();
    const [old, next] = [before, stage.directory].map((directory) => readdirSync(directory));
    for (const name of next!) {
      const directory = copied(before);
      const other = old!.find(
        (each) => each.replace(/^\d+/, '') === name.replace(/^\d+/, '') && each !== name,
      );
      if (!other) continue;
      cpSync(join(stage.directory, name), join(directory, other));
      await holds(directory, []);
    }
  });

  test('the lock, torn: it says nothing', async () => {
    writeFileSync(join(stage.directory, 'trusted.lock'), 'torn');
    expect(versions((await stage.open()).state.set)).toEqual(versions(stage.updater.state.set));
  });
});

describe('a restored old disk', () => {
  let old: string;
  let back: () => void;
  beforeEach(async () => {
    old = copied();
    back = await revoked();
  });

  test('before an honest service: it catches up, and what was revoked is gone', async () => {
    const restored = await stage.open(old);
    expect(readable(restored.state)).toEqual([]);
    await restored.renew();
    expect(db1(restored)).toEqual([]);
    expect(versions(restored.state.set)).toEqual(versions(stage.updater.state.set));
  });

  test('before a network that shows what was then: nothing renews its lease, so nothing is served', async () => {
    const { version, keys, files } = stage.service;
    const newest = { version, sha256: sha256(files.get('timestamp.json')!) };
    back();
    stage.service.echo = (nonce) => Promise.resolve(signEcho(newest, nonce, [keys.timestamp]));
    await expect((await stage.open(old)).renew()).rejects.toMatchObject({ code: 'realm-moving' });
  });

  test('before a service that lies with its online keys: the old state is renewed, until its roles expire', async () => {
    back();
    const restored = await stage.open(old);
    const { state } = await restored.renew();
    expect(db1(restored)).toHaveLength(2);
    expect(state.failures.size).toBe(0);
    stage.service.lifetime = { snapshot: 10 ** 12, timestamp: 10 ** 12 };
    stage.service.sign();
    stage.clock.advance(30 * 24 * 3600_000);
    await expect(restored.renew()).rejects.toMatchObject({ code: 'metadata-expired' });
  });

  test('beside a host that heard of the revocation: that one is not taken back with it', async () => {
    back();
    await expect(stage.updater.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
    expect(db1(stage.updater)).toEqual([]);
    expect(stage.updater.state.secrets.get(BILLING)?.get(DB)?.revokedThrough).toBe(1);
  });

  test('an old index with newer files, or a newer index with old files, is damage', async () => {
    const [mixed, other] = [copied(), copied(old)];
    cpSync(join(old, 'trusted.json'), join(mixed, 'trusted.json'));
    cpSync(join(stage.directory, 'trusted.json'), join(other, 'trusted.json'));
    for (const directory of [mixed, other])
      await expect(stage.open(directory)).rejects.toMatchObject({ code: 'trust-store-unreadable' });
  });

  /** What the index says besides files, from another one. */
  const remembering = (files: string, memory: string): string => {
    const directory = copied(files);
    const [own, theirs] = [files, memory].map(
      (from) =>
        JSON.parse(readFileSync(join(from, 'trusted.json'), 'utf8')) as { floors: object; delegated: object },
    );
    const { floors, delegated } = theirs!;
    writeFileSync(join(directory, 'trusted.json'), JSON.stringify({ ...own, floors, delegated }));
    return directory;
  };

  test('old files with newer memory: what is remembered as taken back stays so, whoever signs again', async () => {
    const directory = remembering(old, stage.directory);
    back();
    const restored = await stage.open(directory);
    await restored.refresh();
    expect(db1(restored)).toEqual([]);
  });

  test('newer files with older memory: the files say what was taken back', async () => {
    const directory = remembering(stage.directory, old);
    back();
    const restored = await stage.open(directory);
    await expect(restored.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
    stage.service.version += 10;
    stage.service.rotate();
    await restored.refresh();
    expect(db1(restored)).toEqual([]);
  });

  test('no index at all is a first start: only the lease, and `expires`, bound what it may be shown', async () => {
    rmSync(join(old, 'trusted.json'));
    const first = await stage.open(old);
    expect(versions(first.state.set)).toEqual({ root: 1 });
    await first.renew();
    expect(db1(first)).toEqual([]);
  });

  test('an empty disk, like it', async () => {
    rmSync(old, { recursive: true });
    mkdirSync(old);
    expect(versions((await stage.open(old)).state.set)).toEqual({ root: 1 });
  });
});
