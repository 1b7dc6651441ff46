// What hosts say in the course of a drill: who takes no part, who is ready for a version, what became of it, and the receipt of
// the change that took it away. Words of other drills, and receipts of other changes, are passed over.
import type { HostName } from '../../../manifest/names.ts';
import { DRILL } from '../../../manifest/realm/drill/order.ts';
import type { Observed } from '../../../manifest/realm/drill/statement.ts';
import type { AppliedRole } from '../../../manifest/realm/receipt.ts';
import type { ReceiptWatch, VerifiedReceipt, VerifiedStatement, VerifiedWord } from '../receipt-watch.ts';

export interface Observation {
  readonly observed: Observed;
  /** When the service stored it, in microseconds of its clock. */
  readonly storedAt: number;
}

export class Answers {
  readonly #watch: ReceiptWatch;
  #drill = '';
  #applied: AppliedRole | undefined;
  /** By host: the code. */
  readonly refused = new Map<HostName, string>();
  readonly #armed = new Map<HostName, number>();
  readonly #observed = new Map<HostName, Observation>();
  readonly #receipts = new Map<HostName, VerifiedReceipt>();

  constructor(watch: ReceiptWatch) {
    this.#watch = watch;
  }

  /** From now on it is about the drill of that id. */
  begin(drill: string): void {
    this.#drill = drill;
    for (const heard of [this.refused, this.#armed, this.#observed, this.#receipts]) heard.clear();
  }

  /** A receipt counts when it has this version of the role, or a later one. */
  await(file: AppliedRole): void {
    this.#applied = file;
    this.#receipts.clear();
    this.#watch.reader.note(DRILL, file, 'this machine');
  }

  isArmed(host: HostName, version: number): boolean {
    return this.#armed.get(host) === version;
  }

  observation(host: HostName, version: number): Observation | undefined {
    const found = this.#observed.get(host);
    return found?.observed.version === version ? found : undefined;
  }

  receipt(host: HostName): VerifiedReceipt | undefined {
    return this.#receipts.get(host);
  }

  /** Listens until that is so, or the signal aborts. */
  async until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isSo() && !signal.aborted) {
      for (const word of await this.#watch.takeWords(signal)) this.#take(word);
    }
  }

  #take(word: VerifiedWord): void {
    if ('receipt' in word) this.#takeReceipt(word);
    else if (word.statement.drill === this.#drill) this.#takeStatement(word);
  }

  #takeStatement({ statement, storedAt }: VerifiedStatement): void {
    const { host } = statement;
    switch (statement.kind) {
      case 'refused':
        this.refused.set(host, statement.code);
        break;
      case 'armed':
        this.#armed.set(host, statement.version);
        break;
      case 'observed':
        this.#observed.set(host, { observed: statement, storedAt });
        break;
    }
  }

  /** The first that counts is the change's own. */
  #takeReceipt(word: VerifiedReceipt): void {
    const there = word.receipt.roles.get(DRILL);
    const wanted = this.#applied;
    if (!there || !wanted || this.#receipts.has(word.receipt.host)) return;
    const isThis = there.version === wanted.version && there.sha256 === wanted.sha256;
    if (isThis || there.version > wanted.version) this.#receipts.set(word.receipt.host, word);
  }
}
