// Waits for hosts to confirm what was published. The stream of receipts is opened before the publish, so nothing is missed
// however fast a host is; a stream that breaks off is opened again where it ended. Each receipt is verified with the host's
// own key from `fleet-hosts`. Two files of one version, anywhere in what was seen, come to light as an alarm.
import { isLapseError } from '../../manifest/errors.ts';
import type { HostName } from '../../manifest/names.ts';
import type { StoredReceipt } from '../../manifest/realm/exchange.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import { verifyReceipt } from '../../manifest/realm/receipt.ts';
import type { AppliedRole, Receipt } from '../../manifest/realm/receipt.ts';
import { currentSnapshot } from '../../manifest/tuf/trusted-set.ts';
import type { RealmState } from '../reading.ts';
import type { Session } from './session.ts';

/** After a stream broke off, in milliseconds. */
const RECONNECT_MS = 500;

/** A receipt that a host of the fleet signed. */
export interface VerifiedReceipt {
  readonly id: number;
  readonly receipt: Receipt;
  /** CLOCK_MONOTONIC when it came. */
  readonly at: bigint;
}

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

  /** The receipt, unless nobody of the fleet signed it. */
  async read({ id, host, jws }: StoredReceipt): Promise<VerifiedReceipt | undefined> {
    const at = this.#session.clock.monotonic();
    const record = this.#session.state.hosts.get(host as HostName);
    if (!record) return undefined;
    try {
      const receipt = await verifyReceipt(jws, record, this.#session.updater.realm);
      for (const [role, file] of receipt.roles) this.note(role, file, host);
      return { id, receipt, at };
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
  readonly #came: VerifiedReceipt[] = [];
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

  /** Everything that came so far and was not taken yet; waits for the first, until the signal aborts. */
  async take(signal: AbortSignal): Promise<readonly VerifiedReceipt[]> {
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

/** Every receipt that the service keeps, the oldest first. */
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
  for await (const receipt of storedReceipts(session)) stored.set(receipt.host, receipt);
  const found = new Map<HostName, VerifiedReceipt>();
  for (const { name } of hosts) {
    const newest = stored.get(name);
    const verified = newest && (await reader.read(newest));
    if (verified) found.set(name, verified);
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
