// Brings versions into the vault: fetches the envelope (unless news carried it), checks it against what was signed,
// unwraps the data key, loads both. A few at once; a version that fails is tried again when the realm is next
// looked at. Readers never wait for any of this.
import type { Transport } from '../client/transport.ts';
import { ClientError } from '../client/errors.ts';
import type { ClientCode } from '../client/errors.ts';
import { isLapseError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { PoolName, TargetPath } from '../manifest/names.ts';
import type { VersionContext } from '../manifest/realm/envelope.ts';
import type { LiveVersion } from '../manifest/realm/secret.ts';
import { checkFile } from '../manifest/tuf/metadata.ts';
import type { Keyring } from './host/keyring.ts';
import type { Loaded, Vault } from './vault/vault.ts';

const AT_ONCE = 8;
const PASSING: ReadonlySet<string> = new Set<ClientCode>([
  'service-unreachable',
  'service-failed',
  'token-refused',
]);

export interface Order {
  readonly live: LiveVersion;
  readonly context: VersionContext;
  /** Whose keys may open it. */
  readonly pools: readonly PoolName[];
}

export interface LoaderEvents {
  /** Asked right before loading: a version may have been revoked while its envelope was fetched. */
  wanted(path: TargetPath): boolean;
  loaded(path: TargetPath, loaded: Loaded): void;
  /** Everything that was asked for is loaded, or failed. */
  idle(): void;
}

export class Loader {
  readonly failures = new Map<TargetPath, LapseError>();
  readonly #transport: Transport;
  readonly #keyring: Keyring;
  readonly #vault: Vault;
  readonly #events: LoaderEvents;
  readonly #waiting: Order[] = [];
  readonly #busy = new Set<TargetPath>();
  #running = 0;
  #pushed: ReadonlyMap<string, Uint8Array> = new Map();

  constructor(transport: Transport, keyring: Keyring, vault: Vault, events: LoaderEvents) {
    this.#transport = transport;
    this.#keyring = keyring;
    this.#vault = vault;
    this.#events = events;
  }

  get idle(): boolean {
    return this.#busy.size === 0;
  }

  /** Whether something failed that may succeed when it is asked for again. */
  get isWorthAnother(): boolean {
    return [...this.failures.values()].some(({ code }) => PASSING.has(code));
  }

  /** Forgets why versions failed that nobody wants any more. */
  forget(wanted: ReadonlySet<TargetPath>): void {
    for (const path of this.failures.keys()) if (!wanted.has(path)) this.failures.delete(path);
  }

  /** `pushed` are files that came with news, by their consistent names. */
  request(orders: readonly Order[], pushed: ReadonlyMap<string, Uint8Array>): void {
    if (pushed.size > 0) this.#pushed = pushed;
    for (const order of orders) {
      if (this.#busy.has(order.live.path)) continue;
      this.#busy.add(order.live.path);
      this.#waiting.push(order);
    }
    while (this.#running < AT_ONCE && this.#waiting.length > 0) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running++;
    for (let order = this.#waiting.shift(); order; order = this.#waiting.shift()) {
      const { path } = order.live;
      try {
        await this.#load(order);
        this.failures.delete(path);
      } catch (error) {
        const failure = isLapseError(error)
          ? error
          : new ClientError('not-found', `${path} could not be loaded`);
        this.failures.set(path, failure);
      } finally {
        this.#busy.delete(path);
      }
    }
    this.#running--;
    if (this.idle) this.#events.idle();
  }

  async #load({ live, context, pools }: Order): Promise<void> {
    const envelope = await this.#envelope(live);
    const dataKey = await this.#keyring.unwrap(live.keys, context, pools);
    try {
      if (this.#events.wanted(live.path)) {
        this.#events.loaded(live.path, this.#vault.load(envelope, dataKey, context));
      }
    } finally {
      dataKey.fill(0);
    }
  }

  async #envelope(live: LiveVersion): Promise<Uint8Array> {
    const file = live.path.replace('/', `/${live.sha256}.`);
    const envelope = this.#pushed.get(file) ?? (await this.#transport.target(file, live.length));
    checkFile(envelope, live, live.path);
    return envelope;
  }
}
