// Says what is in effect here, signed: one receipt after each change, posted in the background over the connection that is
// open anyway, several at once when they wait. What cannot be posted is tried again, ever more slowly; since each says
// everything that is in effect, the newest ones are what matters when too many wait. What the host says of a drill goes the
// same way, in the same order, and never takes a receipt's place. Nothing is ever delayed by this.
import type { Clock } from '../client/clock.ts';
import type { Transport } from '../client/transport.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { Namespace } from '../manifest/names.ts';
import { signStatement } from '../manifest/realm/drill/statement.ts';
import type { DrillStatement } from '../manifest/realm/drill/statement.ts';
import { EXCHANGE_LIMITS } from '../manifest/realm/exchange.ts';
import { FLEET, FLEET_HOSTS, revokerOf } from '../manifest/realm/realm.ts';
import { signReceipt } from '../manifest/realm/receipt.ts';
import type { AppliedRole, Receipt } from '../manifest/realm/receipt.ts';
import { currentRole, currentSnapshot } from '../manifest/tuf/trusted-set.ts';
import type { HostSigner } from './host/identity.ts';
import type { Log } from './log.ts';
import { bootId } from './runtime/state-file.ts';
import type { InEffect } from './serving.ts';

/** Of either kind. */
const MOST_WAITING = 64;
/** Roles that one receipt states, so that it fits: those above the namespaces first, then what has changed. */
const MOST_ROLES = 320;
const RETRY_MS = { least: 100, most: 10_000 } as const;

export interface ReceiptsParts {
  readonly host: HostSigner;
  readonly transport: Pick<Transport, 'postReceipts'>;
  readonly clock: Clock;
  readonly log: Log;
}

type Roles = ReadonlyMap<string, AppliedRole>;

interface Waiting {
  readonly kind: 'receipt' | 'statement';
  readonly jws: string;
}

export class Receipts {
  readonly #parts: ReceiptsParts;
  readonly #boot = bootId();
  #waiting: readonly Waiting[] = [];
  #sequence = 0;
  #signing: Promise<void> = Promise.resolve();
  #said: Roles = new Map();
  /** What was said last, timestamp apart. */
  #last = '';
  #more = Promise.withResolvers<undefined>();
  #lastError: string | undefined;

  constructor(parts: ReceiptsParts) {
    this.#parts = parts;
  }

  /** How many wait to be posted. */
  get pending(): number {
    return this.#waiting.length;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  /**
   * Something is in effect. What says nothing new makes no receipt; else it resolves to when that was signed, in nanoseconds
   * of CLOCK_MONOTONIC.
   */
  note(effect: InEffect): Promise<bigint> | undefined {
    const { host, clock } = this.#parts;
    const { arrival, withdrawn } = effect;
    const now = clock.monotonic();
    const roles = rolesInEffect(effect);
    const failures = failuresOf(effect);
    const last = JSON.stringify([[...roles].filter(([name]) => name !== 'timestamp'), [...failures]]);
    if (last === this.#last && withdrawn.versions.length === 0) return undefined;
    this.#last = last;
    const receipt: Receipt = {
      realm: host.realm,
      host: host.name,
      boot: this.#boot,
      sequence: ++this.#sequence,
      at: clock.now(),
      roles: this.#abridged(roles),
      withdrawn: withdrawn.versions,
      more: withdrawn.more,
      mappings: withdrawn.mappings,
      failures,
      verifiedUs: microseconds(arrival.receivedAt, arrival.verifiedAt),
      effectUs: microseconds(arrival.receivedAt, now),
    };
    this.#said = roles;
    return this.#sign('receipt', () => signReceipt(receipt, host.signingKey, host.kid));
  }

  /** What this host has to say of a drill. */
  say(statement: DrillStatement): void {
    const { host, log } = this.#parts;
    this.#sign('statement', () => signStatement(statement, host.signingKey, host.kid)).catch(
      (error: unknown) => log.error(`a statement of a drill is not signed: ${(error as Error).message}`),
    );
  }

  /** One after another, so that they are posted in the order in which they were made. */
  #sign(kind: Waiting['kind'], sign: () => Promise<string>): Promise<bigint> {
    const signed = this.#signing.then(async () => {
      const jws = await sign();
      const at = this.#parts.clock.monotonic();
      this.#waiting = [...this.#waiting, { kind, jws }];
      const ofKind = this.#waiting.filter((each) => each.kind === kind);
      const out = new Set(ofKind.slice(0, -MOST_WAITING));
      if (out.size > 0) this.#waiting = this.#waiting.filter((each) => !out.has(each));
      this.#more.resolve(undefined);
      return at;
    });
    this.#signing = signed.then(
      () => undefined,
      () => undefined,
    );
    return signed;
  }

  /** Posts what waits, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const ended = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    for (let pause: number = RETRY_MS.least; !signal.aborted;) {
      if (this.#waiting.length === 0) {
        await Promise.race([this.#more.promise, ended]);
        this.#more = Promise.withResolvers();
        continue;
      }
      const isPosted = await this.#post(signal);
      if (!isPosted) await clock.sleep(pause, signal);
      pause = isPosted ? RETRY_MS.least : Math.min(pause * 2, RETRY_MS.most);
    }
  }

  async #post(signal: AbortSignal): Promise<boolean> {
    const batch = this.#waiting.slice(0, EXCHANGE_LIMITS.receiptsPerPost);
    try {
      await this.#parts.transport.postReceipts(batch.map(({ jws }) => jws));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#lastError && !signal.aborted) this.#parts.log.warn(`receipts wait: ${message}`);
      this.#lastError = message;
      return false;
    }
    this.#lastError = undefined;
    // Newer ones may have pushed some of these out meanwhile.
    const posted = new Set(batch);
    this.#waiting = this.#waiting.filter((each) => !posted.has(each));
    return true;
  }

  #abridged(roles: Roles): Roles {
    if (roles.size <= MOST_ROLES) return roles;
    const isSaid = ([name, { version }]: [string, AppliedRole]): boolean =>
      this.#said.get(name)?.version === version && !ABOVE.has(name);
    const [old, fresh] = [[...roles].filter(isSaid), [...roles].filter((entry) => !isSaid(entry))];
    return new Map([...fresh, ...old].slice(0, MOST_ROLES));
  }
}

const ABOVE: ReadonlySet<string> = new Set(['root', 'timestamp', 'snapshot', 'targets', FLEET, FLEET_HOSTS]);

/**
 * The roles of which everything is in effect. What a revoker takes back is, even while something else of its namespace is
 * on its way.
 */
function rolesInEffect({ arrival, pending, unserved }: InEffect): Roles {
  const { set, failures, policies } = arrival.state;
  const roles = new Map<string, AppliedRole>();
  const add = (name: string, file: Applied | undefined): void => {
    if (file) roles.set(name, { version: file.role.version, sha256: file.sha256 });
  };
  add('root', set.root);
  add('timestamp', set.timestamp);
  add('snapshot', currentSnapshot(set));
  add('targets', currentRole(set, 'targets'));
  for (const name of [FLEET, FLEET_HOSTS]) if (!failures.has(name)) add(name, currentRole(set, name));
  for (const namespace of arrival.entitlement.secrets.keys()) {
    if (failures.has(namespace)) continue;
    if (policies.get(namespace)?.hasRevoker === true)
      add(revokerOf(namespace), currentRole(set, revokerOf(namespace)));
    if (!pending.has(namespace) && !unserved.has(namespace)) add(namespace, currentRole(set, namespace));
  }
  return roles;
}

interface Applied {
  readonly role: { readonly version: number };
  readonly sha256: string;
}

function failuresOf({ arrival, unserved }: InEffect): ReadonlyMap<string, string> {
  const { failing } = arrival.entitlement;
  const isOwn = (name: string): boolean => ABOVE.has(name) || failing.has(name as Namespace);
  const failures: (readonly [string, LapseError])[] = [...unserved, ...arrival.state.failures];
  return new Map(
    failures
      .filter(([name]) => unserved.has(name as Namespace) || isOwn(name))
      .slice(0, MOST_ROLES)
      .map(([name, { code }]) => [name, code]),
  );
}

function microseconds(from: bigint, to: bigint): number {
  return Math.max(0, Number((to - from) / 1000n));
}
