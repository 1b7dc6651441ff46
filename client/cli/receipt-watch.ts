// Waits for hosts to confirm what was published. The stream of receipts is opened before the publish, so nothing is missed
// however fast a host is; a stream that breaks off is opened again where it ended. Each receipt is verified with the host's
// own key from `fleet-hosts`; so is each statement of a drill, which comes by the same stream and only a drill takes. Two
// files of one version, anywhere in what was seen, come to light as an alarm.
import { isLapseError } from '../../manifest/errors.ts';
import type { HostName } from '../../manifest/names.ts';
import { isStatement, verifyStatement } from '../../manifest/realm/drill/statement.ts';
import type { DrillStatement } from '../../manifest/realm/drill/statement.ts';
import type { StoredReceipt } from '../../manifest/realm/exchange.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import { verifyReceipt } from '../../manifest/realm/receipt.ts';
import type { AppliedRole, Receipt } from '../../manifest/realm/receipt.ts';
import { currentSnapshot } from '../../manifest/tuf/trusted-set.ts';
import type { RealmState } from '../reading.ts';
import type { Session } from './session.ts';

/** After a stream broke off, in milliseconds. */
const RECONNECT_MS = 500;

/** When a host's word came. */
interface Arrival {
  readonly id: number;
  /** When the service stored it, in microseconds of the service's CLOCK_MONOTONIC. */
  readonly storedAt: number;
  /** CLOCK_MONOTONIC when it came here, and when it was verified. */
  readonly at: bigint;
  readonly verifiedAt: bigint;
}

/** A receipt that a host of the fleet signed. */
export interface VerifiedReceipt extends Arrival {
  readonly receipt: Receipt;
}

/** What a host of the fleet says of a drill. */
export interface VerifiedStatement extends Arrival {
  readonly statement: DrillStatement;
}

export type VerifiedWord = VerifiedReceipt | VerifiedStatement;

/** Verified receipts, and the hashes that they name, held against each other. */
export class ReceiptReader {
  readonly #session: Session;
  /** By `ROLE@VERSION`. */
  readonly #hashes = new Map<string, string>();
  /** What an honest service and honest hosts would not say. */
  readonly alarms: string[] = [];

  constructor(session: Session) {
    this.#session = session;
    for (const [role, file] of verifiedRoles(session.state)) this.note(role, file, 'this machine');
  }

  /** The receipt or statement, unless nobody of the fleet signed it. */
  async read({ id, host, jws, at: storedAt }: StoredReceipt): Promise<VerifiedWord | undefined> {
    const { clock, state, updater } = this.#session;
    const at = clock.monotonic();
    const record = state.hosts.get(host as HostName);
    if (!record) return undefined;
    try {
      if (isStatement(jws)) {
        const statement = await verifyStatement(jws, record, updater.realm);
        return { id, statement, storedAt, at, verifiedAt: clock.monotonic() };
      }
      const receipt = await verifyReceipt(jws, record, updater.realm);
      for (const [role, file] of receipt.roles) this.note(role, file, host);
      return { id, receipt, storedAt, at, verifiedAt: clock.monotonic() };
    } catch (error) {
      if (!isLapseError(error)) throw error;
      this.#alarm(`${record.name}: ${error.message}`);
      return undefined;
    }
  }

  /** False, and an alarm, when that version is known with other bytes. */
  note(role: string, { version, sha256 }: AppliedRole, who: string): boolean {
    const key = `${role}@${version}`;
    const known = this.#hashes.get(key) ?? sha256;
    this.#hashes.set(key, known);
    if (known === sha256) return true;
    this.#alarm(`${who} applied another file as version ${version} of ${role} than was seen elsewhere`);
    return false;
  }

  #alarm(text: string): void {
    if (!this.alarms.includes(text)) this.alarms.push(text);
  }
}

export class ReceiptWatch implements Disposable {
  readonly reader: ReceiptReader;
  readonly #session: Session;
  readonly #abort = new AbortController();
  readonly #came: VerifiedWord[] = [];
  #wake: () => void = () => undefined;
  #last: number;

  private constructor(session: Session, last: number) {
    this.#session = session;
    this.#last = last;
    this.reader = new ReceiptReader(session);
  }

  /** Hears of every receipt that is stored from now on. */
  static async open(session: Session): Promise<ReceiptWatch> {
    const { last } = await session.transport.receipts(Number.MAX_SAFE_INTEGER);
    const watch = new ReceiptWatch(session, last);
    // Its connection stands before anything is published; where that fails, it is tried again meanwhile.
    await new Promise<void>((resolve) => void watch.#follow(resolve));
    return watch;
  }

  /** The receipts that came so far and were not taken yet; waits for the first, until the signal aborts. */
  async take(signal: AbortSignal): Promise<readonly VerifiedReceipt[]> {
    for (;;) {
      const receipts = (await this.takeWords(signal)).filter((word) => 'receipt' in word);
      if (receipts.length > 0 || signal.aborted) return receipts;
    }
  }

  /** The same with the statements of drills. */
  async takeWords(signal: AbortSignal): Promise<readonly VerifiedWord[]> {
    if (this.#came.length === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return this.#came.splice(0);
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }

  async #follow(onOpen: () => void): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        for await (const stored of this.#session.transport.receiptEvents(this.#last, signal, onOpen)) {
          this.#last = stored.id;
          const verified = await this.reader.read(stored);
          if (verified) this.#came.push(verified);
          if (verified) this.#wake();
        }
      } catch (error) {
        if (!isLapseError(error)) throw error;
      }
      onOpen();
      await this.#session.clock.sleep(RECONNECT_MS, signal);
    }
  }
}

/** Every receipt that the service keeps, and every statement, the oldest first. */
export async function* storedReceipts(session: Session): AsyncGenerator<StoredReceipt> {
  for (let after = 0; ;) {
    const { receipts, last } = await session.transport.receipts(after);
    yield* receipts;
    after = receipts.at(-1)?.id ?? last;
    if (after >= last) return;
  }
}

/** Each host's newest receipt. */
export async function newestReceipts(
  session: Session,
  reader: ReceiptReader,
  hosts: Iterable<HostRecord>,
): Promise<ReadonlyMap<HostName, VerifiedReceipt>> {
  const stored = new Map<string, StoredReceipt>();
  for await (const word of storedReceipts(session)) {
    if (!isStatement(word.jws)) stored.set(word.host, word);
  }
  const found = new Map<HostName, VerifiedReceipt>();
  for (const { name } of hosts) {
    const newest = stored.get(name);
    const verified = newest && (await reader.read(newest));
    if (verified && 'receipt' in verified) found.set(name, verified);
  }
  return found;
}

function verifiedRoles({ set }: RealmState): readonly (readonly [role: string, file: AppliedRole])[] {
  const files = [
    ['root', set.root],
    ['timestamp', set.timestamp],
    ['snapshot', currentSnapshot(set)],
    ...set.targets,
  ] as const;
  return files.flatMap(([role, file]) =>
    file ? [[role, { version: file.role.version, sha256: file.sha256 }] as const] : [],
  );
}
