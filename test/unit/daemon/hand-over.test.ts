// The next server has heard of everything that its predecessor had, before it serves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { HandOver } from '../../../daemon/hand-over.ts';
import { StateFile } from '../../../daemon/runtime/state-file.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryService } from '../client/memory-service.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-hand-over-'));
afterAll(() => rmSync(directory, { recursive: true }));

let tests = 0;
let path: string;
let service: MemoryService;
let before: Updater;
let next: Updater;
let applied: number[];

beforeEach(async () => {
  const clock = new ManualClock();
  service = await MemoryService.start(clock);
  path = join(directory, `${++tests}.json`);
  const [first, second] = ['before', 'next'].map((name) =>
    Updater.open({
      anchor: service.realm.genesis.root,
      storeFor: (realm) => new TrustStore(join(directory, `${tests}-${name}`), realm),
      transport: service,
      clock,
    }),
  );
  [before, next] = [await first!, await second!];
  for (const updater of [before, next]) await updater.refresh();
  applied = [];
});

const publish = async (): Promise<void> => {
  service.put(await service.realm.put('payments', 'db'));
  await before.refresh();
};

const tell = (): void => new HandOver(new StateFile(path), before).tell();

async function catchUp(): Promise<void> {
  await new HandOver(new StateFile(path), next).catchUp((state) => {
    applied.push(state.set.snapshot?.role.version ?? 0);
    return Promise.resolve();
  });
}

it('one that has heard of everything asks nobody', async () => {
  tell();
  const asked = service.asked.length;
  await catchUp();
  expect([applied, service.asked.length]).toEqual([[], asked]);
});

it('one that has not asks, and applies what it hears', async () => {
  await publish();
  tell();
  const { snapshot } = before.state.set;
  expect(next.state.set.snapshot?.role.version).not.toBe(snapshot?.role.version);
  await catchUp();
  expect(applied).toEqual([snapshot?.role.version]);
});

it('nobody told anything, or told it to another one: it fails, for who died may have known more', async () => {
  await publish();
  await expect(catchUp()).rejects.toMatchObject({ code: 'runtime-unreadable' });
  tell();
  await catchUp();
  await publish();
  await expect(catchUp()).rejects.toMatchObject({ code: 'runtime-unreadable' });
  tell();
  new HandOver(new StateFile(path), next).forget();
  await expect(catchUp()).rejects.toMatchObject({ code: 'runtime-unreadable' });
  expect(applied).toHaveLength(1);
});

it('it fails when nobody answers, and when what it was told cannot be read', async () => {
  await publish();
  tell();
  service.gate = () => Promise.reject(new Error('down'));
  await expect(catchUp()).rejects.toThrow('down');
  writeFileSync(path, '{}');
  await expect(catchUp()).rejects.toMatchObject({ code: 'runtime-unreadable' });
  expect(applied).toEqual([]);
});
