// The leases as both threads see them: for each namespace the boot time at which this host's knowledge of it ends, in shared
// memory. The main thread sets it with every answer to a nonce; the serving thread compares it at each open and read, so a
// stuck main thread cannot keep a lease alive. Every start begins lapsed. What a secret that is served when stale needs is
// weaker: that its namespace once had a lease since the start, and was not denied since.
import { LIMITS } from '../manifest/limits.ts';
import type { Namespace } from '../manifest/names.ts';
import type { WhenStale } from '../manifest/realm/policy.ts';
import { DaemonError } from './errors.ts';

/** Where a lease stands in the shared table. */
export type Place = number;

/** The lease of the realm itself: root, targets and fleet. Nothing is served under it. */
const REALM: Place = 0;

/** A namespace never gives its place back, so a few more fit than a realm may have at once. */
const PLACES = 1 + 2 * LIMITS.namespaces;

export class Leases {
  readonly shared: SharedArrayBuffer;
  readonly #ends: BigInt64Array;
  readonly #boot: () => number;
  /** The main thread's: the serving thread gets places with the table. */
  readonly #places = new Map<Namespace, Place>();
  /** How long each lease was when it was renewed last, in milliseconds. */
  readonly #lengths = new Map<Place, number>();

  /** `boot` is this thread's clock: boot time in milliseconds. */
  constructor(boot: () => number, shared = new SharedArrayBuffer(8 * PLACES)) {
    this.shared = shared;
    this.#ends = new BigInt64Array(shared);
    this.#boot = boot;
  }

  /** Of a namespace, for ever the same. @throws DaemonError leases-full */
  place(namespace: Namespace): Place {
    const known = this.#places.get(namespace);
    if (known !== undefined) return known;
    const place = this.#places.size + 1;
    if (place >= PLACES)
      throw new DaemonError('leases-full', `more than ${PLACES - 1} namespaces since the start`);
    this.#places.set(namespace, place);
    return place;
  }

  /** Boot time in milliseconds; 0 before the first news, and after `lapse`. */
  end(place: Place = REALM): number {
    return Number(Atomics.load(this.#ends, place));
  }

  holds(place: Place = REALM): boolean {
    return this.#boot() < this.end(place);
  }

  /** Whether a file may be read as far as its lease goes. */
  admits({ lease, whenStale }: { readonly lease: Place; readonly whenStale: WhenStale }): boolean {
    return whenStale === 'serve' ? this.end(lease) > 0 : this.holds(lease);
  }

  /**
   * From boot time `sentAt`, for `ms`. The end moves forward, unless the lease itself has become shorter.
   * The caller owes ascending `sentAt`.
   */
  renew(sentAt: number, ms: number, place: Place = REALM): void {
    const isShorter = ms < (this.#lengths.get(place) ?? 0);
    const end = Math.floor(sentAt + ms);
    if (!isShorter && !(end > this.end(place))) return;
    this.#lengths.set(place, ms);
    Atomics.store(this.#ends, place, BigInt(end));
  }

  /** Ends leases now, all of them when no place is given, also for what is served when stale. */
  lapse(places: Iterable<Place> = this.#ends.keys()): void {
    for (const place of places) {
      Atomics.store(this.#ends, place, 0n);
      this.#lengths.delete(place);
    }
  }
}
