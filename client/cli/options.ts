// The forms in which options are written: times, grants, modes, numbers, and how to wait. Each parser fails with `usage`.
import type { Command } from 'commander';
import { isLapseError } from '../../manifest/errors.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { parseFileName, parseSecretReference, parseWorkload } from '../../manifest/names.ts';
import type { Namespace, SecretName, SecretReference } from '../../manifest/names.ts';
import { DRILL } from '../../manifest/realm/drill/order.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { parseMode } from '../../manifest/realm/grant.ts';
import { readWhenStale } from '../../manifest/realm/policy.ts';
import type { WhenStale } from '../../manifest/realm/policy.ts';
import { ClientError } from '../errors.ts';
import type { WaitOptions } from './confirmation.ts';

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds from `300`, `300s`, `5m`, `2h` or `1d`, within [least, most]. */
export function parseSeconds(text: string, what: string, least: number, most: number): number {
  const [, digits = '', unit = 's'] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = digits === '' ? NaN : Number(digits) * (UNITS[unit] ?? NaN);
  if (!(seconds >= least && seconds <= most)) {
    throw new ClientError('usage', `${what} is a time like 300s, 5m or 2h, from ${least} s to ${most} s`);
  }
  return seconds;
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Milliseconds from `500ms`, `2s` or `1m`, within [least, most]. */
export function parseMilliseconds(text: string, what: string, least: number, most: number): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m)$/.exec(text) ?? [];
  const ms = digits === '' ? NaN : Number(digits) * (MILLISECONDS[unit] ?? NaN);
  if (!(ms >= least && ms <= most)) {
    throw new ClientError('usage', `${what} is a time like 500ms, 2s or 1m, from ${least} ms to ${most} ms`);
  }
  return ms;
}

export function parseOverlap(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSeconds(text, '--overlap', 0, LIMITS.overlapSeconds);
}

export function parseStale(text: string | undefined): WhenStale | undefined {
  return text === undefined ? undefined : asUsage(() => readWhenStale(text, '--when-stale'));
}

export interface WaitWords {
  readonly wait: boolean;
  readonly timeout?: string;
}

/** The options of every command whose effect hosts confirm. */
export function withWaiting(command: Command): Command {
  return command
    .option('--no-wait', 'do not wait for the receipts of the hosts')
    .option('--timeout <time>', 'wait no longer than that (default: until the lease is over)');
}

/** What such a command says of its exit codes. */
export const WAITING_HELP = `
Waits until each host that serves the namespace has confirmed. Exit codes: 0 all confirmed (or none awaited);
3 a host is unconfirmed, and its lease is over: it serves nothing; 4 signatures of others are missing, and the
change waits for them (lapse pending); 5 a host is unconfirmed, and may still serve.`;

export function parseWait({ wait, timeout }: WaitWords): WaitOptions {
  if (timeout === undefined) return { wait };
  return { wait, timeoutSeconds: parseSeconds(timeout, '--timeout', 1, LIMITS.leaseSeconds) };
}

export function parseCount(text: string, what: string, least: number, most: number): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (!(count >= least && count <= most)) {
    throw new ClientError('usage', `${what} is a number from ${least} to ${most}`);
  }
  return count;
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export interface GrantOptions {
  readonly as?: string;
  readonly uid: string;
  readonly gid: string;
  readonly mode: string;
}

/** A grant of `secret`, by default as a file of the secret's own name, owned by root, mode 0400. */
export function parseGrant(workload: string, secret: SecretName, options: GrantOptions): Grant {
  return asUsage(() => ({
    workload: parseWorkload(workload),
    file: parseFileName(options.as ?? secret),
    uid: parseCount(options.uid, '--uid', 0, 2 ** 32 - 2),
    gid: parseCount(options.gid, '--gid', 0, 2 ** 32 - 2),
    mode: parseMode(options.mode),
  }));
}

/** A secret as a whole. One version of it is refused where the command would act on all of them. */
export function parseSecret(text: string): SecretReference {
  const reference = asUsage(() => parseSecretReference(text));
  if (reference.version === undefined) return reference;
  throw new ClientError('usage', `${text} is one version; name the secret alone, without @VERSION`);
}

/** The same, where somebody would put something into it: the canary of drills is theirs. @throws ClientError drill-reserved */
export function parseOwnSecret(text: string): SecretReference {
  const reference = parseSecret(text);
  refuseReserved(reference.namespace);
  return reference;
}

/** @throws ClientError drill-reserved */
export function refuseReserved(namespace: Namespace): void {
  if (namespace !== DRILL) return;
  throw new ClientError(
    'drill-reserved',
    `the namespace ${DRILL} is for drills alone, which make their own canary; see: lapse drill --help`,
  );
}

/** A name that does not parse is the caller's mistake, not damaged metadata. */
export function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw new ClientError('usage', cause.message, { cause });
  }
}
