// The other side of vault-race.test.ts, in a thread of its own like the serving thread: opens and reads one slot as
// fast as it can until it is refused, and counts what it must never see.
import { parentPort, workerData } from 'node:worker_threads';
import { VaultOpener } from '../../../daemon/vault/opener.ts';
import { SlotTable } from '../../../daemon/vault/slot.ts';

/** Words of the shared control block. */
export const WORD = {
  round: 0,
  slot: 1,
  revoked: 2,
  done: 3,
  reads: 4,
  wrong: 5,
  late: 6,
  faults: 7,
} as const;
export const WORDS = 8;

export interface ReaderData {
  readonly memory: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  /** The value of each round, in turn. */
  readonly values: readonly Uint8Array[];
}

function run({ memory, slots, control, values }: ReaderData): void {
  const table = new SlotTable(slots);
  const opener = new VaultOpener(table, memory, () => undefined);
  const words = new Int32Array(control);
  const count = (word: number): unknown => Atomics.add(words, word, 1);
  const into = new Uint8Array(values[0]!.length);
  for (let round = 1; ; round++) {
    Atomics.wait(words, WORD.round, round - 1, 20_000);
    if (Atomics.load(words, WORD.round) !== round) return;
    const slot = Atomics.load(words, WORD.slot);
    const value = values[round % values.length]!;
    const generation = table.get(slot, 'generation');
    for (let refused = false; !refused;) {
      const late = Atomics.load(words, WORD.revoked) === round;
      try {
        refused = !opener.acquire(slot, generation) || opener.copy(slot, generation, 0, into) < 0;
      } catch {
        count(WORD.faults);
        refused = true;
      }
      if (refused) continue;
      count(WORD.reads);
      if (late) count(WORD.late);
      if (Buffer.compare(into, value) !== 0) count(WORD.wrong);
    }
    Atomics.store(words, WORD.done, round);
    Atomics.notify(words, WORD.done);
  }
}

if (parentPort) run(workerData as ReaderData);
