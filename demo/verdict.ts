// Whether the run kept the promises, and whether it could have noticed if not: every zero has its control.
import type { Figures } from './measure.ts';

/** One sentence for each promise that was broken, or that this run could not have seen broken. */
export function verdict(figures: Figures): readonly string[] {
  const { rotate, revoke, reader, lease, deniedContainer: denied, plaintextOnDisk: disk } = figures;
  const broken: string[] = [];
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) broken.push(sentence);
  };
  demand(
    revoke.readsAfterEffect === 0,
    `${revoke.readsAfterEffect} reads (${revoke.lateWays.join(', ')}) succeeded after the revocation was in effect`,
  );
  demand(
    revoke.ms > 0,
    `control: the last read was ${-revoke.ms} ms before the revocation began; lapsed did not serve then`,
  );
  demand(rotate.receiptMs > 0 && revoke.receiptMs > 0, 'a change was not confirmed by the host’s receipt');
  demand(
    lease.readsAfterLease === 0,
    `${lease.readsAfterLease} reads succeeded after the lease was over, without a service`,
  );
  demand(denied.reads === 0, `the container without a grant read the secret ${denied.reads} times`);
  demand(disk.hits === 0, `plaintext stands on disk, in ${disk.hits} files`);
  demand(
    denied.errno === 'ENOENT' || denied.reads > 0,
    `the container without a grant got ${denied.errno || 'nothing'}, not ENOENT`,
  );
  demand(reader.reads >= 1000, `control: only ${reader.reads} reads, 1000 are needed to trust the figures`);
  demand(
    reader.medianGapUs <= 1000,
    `control: the reader paused ${reader.medianGapUs} µs, it must be 1000 at most`,
  );
  demand(reader.aliveAfterMs >= 500, `control: the reader ended ${reader.aliveAfterMs} ms after the effect`);
  demand(
    lease.lastReadMs > 0 && lease.attemptsAfterLease >= 100,
    `control: ${lease.attemptsAfterLease} attempts after the lease, the last read ${lease.lastReadMs} ms after the cut`,
  );
  demand(
    denied.attempts >= 100,
    `control: the container without a grant tried only ${denied.attempts} times`,
  );
  demand(disk.plantedHits === 1, `control: the disk scan found ${disk.plantedHits} of 1 planted values`);
  return broken;
}
