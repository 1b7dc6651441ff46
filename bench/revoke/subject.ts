// What is compared here: something that gives a secret to a container, and takes it back.
import { randomBytes } from 'node:crypto';
import type { Container } from '../../demo/container.ts';

export interface Subject {
  /** A container that has read a new secret in all three ways and goes on. `trial` is in its name. */
  give(trial: string): Promise<Container>;
  /** The operator's act, on the secret given last. */
  takeBack(): Promise<TakenBack>;
}

/** CLOCK_MONOTONIC, nanoseconds. */
export interface TakenBack {
  /** The operator has decided; nothing has been sent. */
  readonly zero: bigint;
  /** From here on it is gone, by the word of who took it back: Lapse's daemon, or etcd's answer. */
  readonly effect: bigint;
}

/** What readers of a trial pause, in microseconds. */
export const PAUSE_US = 200;

/** A line of text, so that a shell script can carry it. */
export function newValue(): Buffer {
  return Buffer.from(randomBytes(24).toString('base64url'));
}
