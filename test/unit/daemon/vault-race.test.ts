// A revocation against a reader in another thread, thousands of times at random moments: during decryption, during
// the copy, between them. Never a wrong byte, never one after `revoke` returned, never plaintext left in memory.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { WORD, WORDS } from './vault-reader.ts';
import type { ReaderData } from './vault-reader.ts';
import { VaultParts, sealed } from './vault-parts.ts';

const ROUNDS = 3000;
const BUDGET_MS = 8000;

test('revoke races open and read', async () => {
  const parts = new VaultParts({ bytes: 1 << 18, slots: 1 });
  const versions = [sealed(randomBytes(30_000), 1), sealed(randomBytes(30_000), 2)];
  const control = new SharedArrayBuffer(WORDS * 4);
  const words = new Int32Array(control);
  const data: ReaderData = {
    memory: parts.memory,
    slots: parts.slots.shared,
    control,
    values: versions.map(({ value }) => value),
  };
  const worker = new Worker(new URL('./vault-reader.ts', import.meta.url), { workerData: data });
  await once(worker, 'online');
  const begun = performance.now();
  let round = 0;
  let left = 0;
  try {
    while (round < ROUNDS && performance.now() - begun < BUDGET_MS) {
      const version = versions[++round % 2]!;
      const { slot } = parts.load(version);
      Atomics.store(words, WORD.slot, slot);
      Atomics.store(words, WORD.round, round);
      Atomics.notify(words, WORD.round);
      const until = performance.now() + Math.random() * 0.4;
      while (performance.now() < until);
      parts.vault.revoke(slot);
      Atomics.store(words, WORD.revoked, round);
      if (Atomics.wait(words, WORD.done, round - 1, 5000) === 'timed-out')
        throw new Error('the reader hangs');
      if (parts.holds(version.value.subarray(0, 16)) || parts.holds(version.dataKey)) left++;
      parts.vault.reclaim(slot);
    }
  } finally {
    await worker.terminate();
  }
  const [reads, wrong, late, faults] = [WORD.reads, WORD.wrong, WORD.late, WORD.faults].map(
    (word) => words[word],
  );
  expect({ wrong, late, faults, left }).toEqual({ wrong: 0, late: 0, faults: 0, left: 0 });
  expect(reads).toBeGreaterThan(round / 10);
  expect(round).toBeGreaterThan(500);
}, 30_000);
