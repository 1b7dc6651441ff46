// One trial: a version of the canary that every way has read, the moments of its end, and who waits for that.
import type { HostMoment } from '../../manifest/realm/drill/statement.ts';
import type { InEffect } from '../serving.ts';
import type { HostMoments, KeptTrial } from './kept.ts';

export class Trial {
  readonly #begun: KeptTrial;
  #moments: HostMoments;
  #serviceBoot: string | undefined;
  /** Resolves to when the receipt of its end was signed. */
  #signed: Promise<bigint> | undefined;
  readonly #gone = Promise.withResolvers<undefined>();

  /** Anew, or as an earlier server left it. */
  constructor(begun: KeptTrial) {
    this.#begun = begun;
    this.#moments = begun.moments;
    this.#serviceBoot = begun.serviceBoot;
    if (this.isGone) this.#gone.resolve(undefined);
  }

  get version(): number {
    return this.#begun.version;
  }

  get hash(): bigint {
    return this.#begun.hash;
  }

  get moments(): HostMoments {
    return this.#moments;
  }

  /** Whether its end is in effect. */
  get isGone(): boolean {
    return this.#moments.invalidated !== undefined;
  }

  /** Resolves then. */
  get gone(): Promise<undefined> {
    return this.#gone.promise;
  }

  get kept(): KeptTrial {
    const { number, version, hash } = this.#begun;
    const boot = this.#serviceBoot;
    return {
      number,
      version,
      hash,
      moments: this.#moments,
      ...(boot !== undefined && { serviceBoot: boot }),
    };
  }

  /** Nanoseconds of CLOCK_MONOTONIC. */
  stamp(moment: HostMoment, at: bigint): void {
    this.#moments = { ...this.#moments, [moment]: microseconds(at) };
  }

  /** Its end is in effect. */
  went({ arrival, moments, zeroedAt }: InEffect, signed: Promise<bigint> | undefined): void {
    const { pushed, receivedAt, verifiedAt } = arrival;
    if (pushed) {
      this.#moments = { ...this.#moments, pushed: pushed.at };
      this.#serviceBoot = pushed.boot;
    }
    this.stamp('received', receivedAt);
    this.stamp('verified', verifiedAt);
    this.stamp('denied', moments.deniedAt);
    this.stamp('invalidated', moments.effectAt);
    if (zeroedAt !== undefined) this.stamp('zeroed', zeroedAt);
    this.#signed = signed;
    this.#gone.resolve(undefined);
  }

  /** Resolves when the receipt of its end was signed, if there is one. */
  async untilSigned(): Promise<void> {
    const at = await this.#signed;
    if (at !== undefined) this.stamp('receiptSigned', at);
  }
}

function microseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1000n);
}
