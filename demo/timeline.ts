// What a person sees while the demo runs: one line a stage, with the seconds since the start; then the figures.
import { styleText } from 'node:util';
import type { Clock } from '../client/clock.ts';
import type { Figures } from './measure.ts';
import type { Change } from './programs.ts';

export class Timeline {
  readonly #clock: Clock;
  readonly #start: bigint;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#start = clock.monotonic();
  }

  title(text: string): void {
    this.#print(`\n${styleText('bold', text)}\n`);
  }

  stage(name: string, text: string): void {
    const seconds = Number(this.#clock.monotonic() - this.#start) / 1e9;
    this.#print(
      `${styleText('dim', `${seconds.toFixed(1).padStart(5)} s`)}  ${styleText('cyan', name.padEnd(9))} ${text}`,
    );
  }

  figures(figures: Figures, rotate: Change, revoke: Change): void {
    const { reader, lease, deniedContainer: denied, plaintextOnDisk: disk } = figures;
    this.title('From clock zero (keys ready, value read, operator confirmed), in milliseconds');
    this.#bar('rotate', [
      ...stages(rotate),
      ['first new value read in the container', figures.rotate.ms],
      ['signed receipt verified at the operator', figures.rotate.receiptMs],
    ]);
    this.#bar('revoke', [
      ...stages(revoke),
      ['last successful read in the container', figures.revoke.ms],
      ['descriptor, mapping and name all dead', figures.revoke.effectMs],
      ['signed receipt verified at the operator', figures.revoke.receiptMs],
    ]);
    this.title('Controls');
    this.#print(
      `  ${figures.revoke.readsAfterEffect} reads succeeded after the revocation, of ${reader.reads} attempts in`,
    );
    this.#print(
      `  three ways (reopening, held descriptor, mapping), one every ${reader.medianGapUs} µs, and for`,
    );
    this.#print(`  ${reader.aliveAfterMs} ms more.`);
    this.#print(
      `  Service killed under a lease of ${lease.seconds} s: the last read ended ${lease.lastReadMs} ms later; after the lease`,
    );
    this.#print(`  ${lease.readsAfterLease} of ${lease.attemptsAfterLease} reads succeeded.`);
    this.#print(
      `  ${denied.reads} reads by the container without a grant, in ${denied.attempts} attempts: ${denied.errno}.`,
    );
    this.#print(
      `  ${disk.hits} files of ${disk.filesScanned} hold plaintext; the same scan found ${disk.plantedHits} of 1 planted.`,
    );
    const { put, rotate: rotating, revoke: revoking } = figures.processMs;
    this.#print(`  Beside all this, starting the command took ${put}, ${rotating} and ${revoking} ms.`);
  }

  #bar(name: string, rows: readonly (readonly [string, number])[]): void {
    rows.forEach(([what, ms], i) => {
      const head = styleText('cyan', (i === 0 ? name : '').padEnd(8));
      const bar = styleText('green', '▇'.repeat(Math.max(1, Math.round(ms))).slice(0, 60));
      this.#print(`  ${head}${ms.toFixed(1).padStart(7)}  ${what.padEnd(40)}${bar}`);
    });
  }

  #print(line: string): void {
    process.stdout.write(`${line}\n`);
  }
}

/** The command's own stages, as moments since clock zero. */
function stages({ ms }: Change): readonly (readonly [string, number])[] {
  const names: Readonly<Record<string, string>> = {
    refresh: 'refreshed: another operator was faster',
    seal: 'value encrypted, key wrapped',
    sign: 'namespace signed',
    publish: 'durable at the service',
  };
  let at = 0;
  return Object.entries(ms).flatMap(([stage, length]) => {
    const name = names[stage];
    at += length;
    return name === undefined ? [] : [[name, at] as const];
  });
}
