// Publishes a change of a namespace and waits until every host that serves it has confirmed. A line for each host as it
// answers; then one verdict. Nobody waits longer than the lease: when that is over, a host that did not answer serves nothing
// of the namespace any more, unless a secret asked to be served when stale. Ctrl-C ends the waiting, never the change.
import type { JsonObject } from '../../manifest/json.ts';
import type { HostName, Namespace, SecretName } from '../../manifest/names.ts';
import { servingHosts } from '../../manifest/realm/hosts.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import type { AppliedRole } from '../../manifest/realm/receipt.ts';
import { revokerOf } from '../../manifest/realm/realm.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { RealmState } from '../reading.ts';
import type { Context } from './command.ts';
import { onInterrupt } from './interrupt.ts';
import { counted } from './output.ts';
import { ReceiptWatch, newestReceipts } from './receipt-watch.ts';
import type { VerifiedReceipt } from './receipt-watch.ts';
import type { Edit, Publication, Session } from './session.ts';
import { policyOf } from './session.ts';
import { Stopwatch } from './stopwatch.ts';

/** Hosts look at their lease at each read, and for mappings every 100 ms. */
const LEASE_MARGIN_MS = 500;
/** Whoever waits is told so after this long, in milliseconds. */
const PATIENCE_MS = 2000;

export interface WaitOptions {
  readonly wait: boolean;
  /** Absent: the lease. */
  readonly timeoutSeconds?: number;
}

export interface HostAnswer {
  readonly host: HostName;
  readonly state: 'confirmed' | 'failed' | 'unconfirmed';
  /** From clock zero to the receipt. */
  readonly ms?: number;
  /** On the host, from the news to its effect, in microseconds. */
  readonly effectUs?: number;
  /** Why the host does not verify the namespace. */
  readonly code?: string;
}

type Verdict = 'confirmed' | 'not-awaited' | 'lease-over' | 'unconfirmed' | 'receipts-conflict';

/** What is to be confirmed. */
export interface Change {
  readonly namespace: Namespace;
  /** The role that is signed: the namespace's own, or its revoker's. */
  readonly role: string;
  /** The secrets that change. */
  readonly names: readonly SecretName[];
  readonly options: WaitOptions;
  /** Said once it is published. */
  readonly said: (ms: number) => readonly string[];
  /** Done once it is published, whatever becomes of the waiting. */
  readonly published?: () => Promise<void>;
}

export interface Outcome {
  readonly verdict: Verdict;
  readonly hosts: readonly HostAnswer[];
  /** `clockZero`, `ms`, `hosts`, `outcome`. */
  readonly json: JsonObject;
  readonly timestamp: number;
  /** A host that hears nothing serves on what this took back or replaced. */
  readonly servesStale: boolean;
}

/** The hosts whose receipt a change of the namespace awaits; a fleet that does not verify blocks no change. */
export function awaitedHosts(state: RealmState, namespace: Namespace): readonly HostRecord[] {
  return state.fleet ? servingHosts(state.hosts, state.fleet, policyOf(state, namespace)) : [];
}

/** Whether a host that hears nothing goes on serving one of these secrets, without any bound. */
export function servesStale(state: RealmState, namespace: Namespace, names: readonly SecretName[]): boolean {
  const isAllowed = state.policies.get(namespace)?.policy.whenStale === 'serve';
  return isAllowed && names.some((name) => state.secrets.get(namespace)?.get(name)?.whenStale === 'serve');
}

/** Publishes, then waits. Whatever can be done before clock zero is done before. */
export async function publishConfirmed(
  context: Context,
  session: Session,
  change: Change,
  edit: (state: RealmState, watch: Stopwatch) => Edit | Promise<Edit>,
): Promise<Outcome> {
  policyOf(session.state, change.namespace);
  await session.ready(change.role);
  return confirmed(context, session, change, (watch) =>
    session.publish(watch, (state) => edit(state, watch)),
  );
}

/** The same, whichever way it is published. */
export async function confirmed(
  context: Context,
  session: Session,
  change: Change,
  publish: (watch: Stopwatch) => Promise<Publication>,
): Promise<Outcome> {
  using receipts = await openWatch(session, change);
  const watch = new Stopwatch(context.clock);
  const publication = await publish(watch);
  context.output.early(...change.said(watch.total));
  await change.published?.();
  const wait = new Wait(context, session, change, publication, watch);
  if (receipts) await wait.until(receipts);
  await followUp(session);
  return wait.outcome(receipts);
}

/** What this machine trusts is brought up to what it published; where that fails, the next command does it. */
async function followUp(session: Session): Promise<void> {
  try {
    await session.refresh();
  } catch (error) {
    if (!(error instanceof ClientError) || !error.code.startsWith('service-')) throw error;
  }
}

/** Waits for the confirmation of what was published before: hosts that confirmed it are not asked again. */
export async function confirmAgain(context: Context, session: Session, change: Change): Promise<Outcome> {
  using receipts = await openWatch(session, change);
  const watch = new Stopwatch(context.clock);
  const { set } = session.state;
  const roles = new Map<string, AppliedRole>();
  for (const role of [change.namespace, revokerOf(change.namespace)]) {
    const current = currentRole(set, role);
    if (current) roles.set(role, { version: current.role.version, sha256: current.sha256 });
  }
  const publication = { roles, timestamp: set.timestamp?.role.version ?? 0 };
  context.output.early(...change.said(0));
  const wait = new Wait(context, session, change, publication, watch);
  if (receipts) {
    const hosts = awaitedHosts(session.state, change.namespace);
    for (const { receipt } of (await newestReceipts(session, receipts.reader, hosts)).values())
      wait.take({ receipt });
    await wait.until(receipts);
  }
  return wait.outcome(receipts);
}

async function openWatch(
  session: Session,
  { namespace, options }: Change,
): Promise<ReceiptWatch | undefined> {
  const isAwaited = options.wait && awaitedHosts(session.state, namespace).length > 0;
  return isAwaited ? ReceiptWatch.open(session) : undefined;
}

class Wait {
  readonly #context: Context;
  readonly #change: Change;
  readonly #publication: Publication;
  readonly #watch: Stopwatch;
  readonly #answers: Map<HostName, HostAnswer>;
  /** Boot time, milliseconds: when no host that knows nothing of this serves any more. */
  readonly #leaseEnd: number;
  readonly #servesStale: boolean;
  #isOver = false;

  constructor(
    context: Context,
    session: Session,
    change: Change,
    publication: Publication,
    watch: Stopwatch,
  ) {
    this.#context = context;
    this.#change = change;
    this.#publication = publication;
    this.#watch = watch;
    this.#answers = new Map(
      awaitedHosts(session.state, change.namespace).map(({ name }) => [
        name,
        { host: name, state: 'unconfirmed' },
      ]),
    );
    this.#servesStale = servesStale(session.state, change.namespace, change.names);
    const lease = session.state.set.timestamp?.role.lease ?? 0;
    const most = policyOf(session.state, change.namespace).leaseSeconds ?? lease;
    this.#leaseEnd = context.clock.boot() + Math.min(lease, most) * 1000 + LEASE_MARGIN_MS;
  }

  /** Ends with the last host, the lease, the time-out, or Ctrl-C. */
  async until(receipts: ReceiptWatch): Promise<void> {
    const { clock, signal } = this.#context;
    for (const [role, file] of this.#publication.roles) receipts.reader.note(role, file, 'this machine');
    using interrupt = onInterrupt(signal);
    const done = new AbortController();
    const timeout = this.#change.options.timeoutSeconds;
    const begun = clock.boot();
    const last = Math.min(this.#leaseEnd, timeout === undefined ? Infinity : begun + timeout * 1000);
    const end = AbortSignal.any([interrupt.signal, done.signal]);
    void sleepUntil(clock, last, end).then(() => done.abort());
    void clock.sleep(PATIENCE_MS, end).then(() => end.aborted || this.#tellOfWaiting(last - begun));
    while (this.#pending.length > 0 && !end.aborted) {
      for (const receipt of await receipts.take(end)) this.take(receipt);
    }
    this.#isOver = clock.boot() >= this.#leaseEnd;
    done.abort();
  }

  take({ receipt, at }: Pick<VerifiedReceipt, 'receipt'> & { readonly at?: bigint }): void {
    const answer = this.#answers.get(receipt.host);
    if (!answer || answer.state === 'confirmed') return;
    const { role, namespace } = this.#change;
    // A receipt that was stored before came at no time of this watch.
    const came = at === undefined ? {} : { ms: Math.max(0, this.#watch.since(at)) };
    const code = receipt.failures.get(role) ?? receipt.failures.get(namespace);
    if (this.#isApplied(receipt.roles)) {
      this.#answer({ host: receipt.host, state: 'confirmed', ...came, effectUs: receipt.effectUs });
    } else if (code !== undefined && answer.code !== code) {
      this.#answer({ host: receipt.host, state: 'failed', ...came, code });
    }
  }

  outcome(receipts: ReceiptWatch | undefined): Outcome {
    const hosts = [...this.#answers.values()];
    const times = hosts.flatMap(({ state, ms }) => (state === 'confirmed' && ms !== undefined ? [ms] : []));
    if (times.length > 0) {
      this.#watch.moment('firstReceipt', Math.min(...times));
      this.#watch.moment('lastReceipt', Math.max(...times));
    }
    const verdict = this.#verdict(receipts);
    const alarms = receipts?.reader.alarms ?? [];
    return {
      verdict,
      hosts,
      timestamp: this.#publication.timestamp,
      servesStale: this.#servesStale,
      json: {
        timestamp: this.#publication.timestamp,
        ...this.#watch.report(),
        hosts: hosts.map((answer) => ({ ...answer })),
        outcome: verdict,
        ...(alarms.length > 0 ? { alarms } : {}),
      },
    };
  }

  get #pending(): readonly HostAnswer[] {
    return [...this.#answers.values()].filter(({ state }) => state !== 'confirmed');
  }

  /** A later version holds what this one changed: nothing that is taken back ever comes back. */
  #isApplied(applied: ReadonlyMap<string, AppliedRole>): boolean {
    return [...this.#publication.roles].every(([role, { version, sha256 }]) => {
      const there = applied.get(role);
      return there && (there.version > version || (there.version === version && there.sha256 === sha256));
    });
  }

  #answer(answer: HostAnswer): void {
    this.#answers.set(answer.host, answer);
    this.#context.output.early(hostLine(answer));
  }

  #verdict(receipts: ReceiptWatch | undefined): Verdict {
    if (receipts && receipts.reader.alarms.length > 0) return 'receipts-conflict';
    if (this.#answers.size === 0 || !this.#change.options.wait) return 'not-awaited';
    if (this.#pending.length === 0) return 'confirmed';
    return this.#isOver && !this.#servesStale ? 'lease-over' : 'unconfirmed';
  }

  #tellOfWaiting(left: number): void {
    const names = this.#pending.map(({ host }) => host);
    const seconds = Math.ceil((left - PATIENCE_MS) / 1000);
    this.#context.output.progress(
      `Waiting for ${listed(names)}, ${seconds} s at most. Ctrl-C ends the waiting, not the change.`,
    );
  }
}

/** A timer may be early by a little: boot time decides. */
async function sleepUntil(clock: Context['clock'], at: number, signal: AbortSignal): Promise<void> {
  for (let left = at - clock.boot(); left > 0 && !signal.aborted; left = at - clock.boot())
    await clock.sleep(Math.ceil(left), signal);
}

/**
 * Prints the result and what the hosts said of it; then fails, unless all confirmed or nobody was asked.
 * @throws ClientError lease-over, unconfirmed, receipts-conflict
 */
export function report({ output }: Context, outcome: Outcome, change: Change, json: JsonObject): void {
  const { verdict, hosts } = outcome;
  output.result(summary(outcome, change), { ...json, ...outcome.json });
  if (verdict === 'confirmed' || verdict === 'not-awaited') return;
  const pending = hosts.filter(({ state }) => state !== 'confirmed');
  const names = listed(pending.map(({ host, code }) => (code === undefined ? host : `${host} (${code})`)));
  throw new ClientError(
    verdict,
    verdictText(
      verdict,
      `${pending.length} of ${counted(hosts.length, 'host')} unconfirmed: ${names}`,
      change,
      outcome,
    ),
  );
}

function summary({ verdict, hosts, json }: Outcome, { options, namespace }: Change): readonly string[] {
  if (hosts.length === 0) return [`No host serves ${namespace} yet.`];
  if (!options.wait) return [`Not waited for ${counted(hosts.length, 'host')}: lapse receipts`];
  if (verdict !== 'confirmed') return [];
  const { lastReceipt } = json['ms'] as { readonly lastReceipt?: number };
  const when = lastReceipt === undefined ? '' : ` after ${lastReceipt} ms`;
  return [`Confirmed by ${hosts.length === 1 ? 'the one host' : `all ${hosts.length} hosts`}${when}.`];
}

function verdictText(
  verdict: Verdict,
  who: string,
  { namespace }: Change,
  { json, servesStale }: Outcome,
): string {
  switch (verdict) {
    case 'receipts-conflict':
      return `ALARM: ${(json['alarms'] as readonly string[]).join('; ')}`;
    case 'lease-over':
      return `${who}; the lease is over, so there nothing of ${namespace} is served`;
    case 'unconfirmed':
    case 'confirmed':
    case 'not-awaited':
      return servesStale
        ? `${who}; a host that hears nothing goes on serving it (whenStale: serve)`
        : `${who}; it is published, and a host that hears nothing serves on until its lease ends`;
  }
}

function hostLine({ host, state, ms, effectUs = 0, code }: HostAnswer): string {
  const when = ms === undefined ? 'before' : `after ${ms} ms`;
  if (state === 'failed') return `  ${host}  does not verify it (${code ?? 'unknown'}), ${when}`;
  return `  ${host}  confirmed ${when}, in effect ${effectUs / 1000} ms after it heard`;
}

const MOST_NAMES = 20;

export function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown;
}
