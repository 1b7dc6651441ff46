// Changes that wait for signatures of others. Each is verified like a publish, save that its thresholds are met, when it
// comes and again with each signature: the realm has moved meanwhile. Once they are met it is published by the same path as
// any other. What cannot be applied any more vanishes by itself. No publish ever asks what waits here.
import { isLapseError } from '../manifest/errors.ts';
import { parseJson } from '../manifest/json.ts';
import { EXCHANGE_LIMITS, encodePublish, parsePublish } from '../manifest/realm/exchange.ts';
import type { Publish } from '../manifest/realm/exchange.ts';
import { PENDING_LIMITS, readWaiting, waitingJson } from '../manifest/realm/pending.ts';
import type { MoreSignatures, PendingChange, Proposed, Waiting } from '../manifest/realm/pending.ts';
import { missingOf, proposalId, signersOf, withMore } from '../manifest/realm/proposal.ts';
import type { ProposedRole } from '../manifest/realm/proposal.ts';
import type { Signature } from '../manifest/tuf/keys.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { Repository } from './repository.ts';
import type { Inbox, PendingRoom } from './store/inbox.ts';

interface Kept {
  readonly id: string;
  /** When it came; milliseconds since the epoch. */
  readonly at: number;
  readonly publish: Publish;
}

export class PendingDesk {
  readonly #inbox: Inbox;
  readonly #repository: Repository;
  readonly #clock: Clock;
  readonly #room: PendingRoom;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(inbox: Inbox, repository: Repository, clock: Clock, room: PendingRoom = ROOM) {
    this.#inbox = inbox;
    this.#repository = repository;
    this.#clock = clock;
    this.#room = room;
  }

  /**
   * Keeps a change, durably, or publishes it when nobody is missing. The same one again adds its signatures.
   * @throws ServiceError pending-full, store-failed, and what a publish is refused for
   */
  post(publish: Publish): Promise<Proposed> {
    return this.#inTurn(async () => {
      await this.list();
      const came = await this.#repository.review(publish);
      const id = proposalId(came);
      const known = await this.#kept(id);
      if (!known) checkSize(publish);
      const roles = came.map((role) => withMore(role, signaturesIn(known?.publish, role.name)));
      return this.#settle({ id, at: known?.at ?? this.#clock.now(), publish }, roles);
    });
  }

  /** Those that wait, oldest first; what is over is forgotten. @throws ServiceError realm-missing, store-failed */
  async list(): Promise<readonly Waiting[]> {
    const all = (await this.#inbox.pending()).map(readSummary);
    const names = all.flatMap(({ roles }) => roles.map(({ name }) => name));
    const stored = await this.#repository.versions(...names);
    const versions = new Map(names.map((name, i) => [name, stored[i] ?? 0]));
    const isOver = ({ at, roles }: Waiting): boolean =>
      this.#hasExpired(at) || roles.some(({ name, version }) => version <= (versions.get(name) ?? 0));
    const over = all.filter(isOver);
    if (over.length > 0) await this.#inbox.dropPending(over.map(({ id }) => id));
    return all.filter((waiting) => !isOver(waiting));
  }

  /** @throws ServiceError not-found, realm-missing, store-failed */
  async find(id: string): Promise<PendingChange> {
    await this.list();
    const { at, publish } = await this.#required(id);
    return { id, at, roles: publish.roles };
  }

  /**
   * Adds signatures, each of which must count, and publishes the change when nobody is missing. Asked again, it tries again.
   * @throws ServiceError not-found, signature-refused; pending-superseded: it is forgotten; store-failed
   */
  sign(id: string, { role: name, signatures }: MoreSignatures): Promise<Proposed> {
    return this.#inTurn(async () => {
      const kept = await this.#required(id);
      const roles = await this.#review(kept);
      if (!roles.some((role) => role.name === name)) {
        throw new ServiceError('signature-refused', `this change has no role ${name}`);
      }
      const signed = roles.map((role) => (role.name === name ? withAll(role, signatures) : role));
      return this.#settle(kept, signed);
    });
  }

  /** As the realm is now. */
  async #review({ id, publish }: Kept): Promise<readonly ProposedRole[]> {
    try {
      return await this.#repository.review(publish);
    } catch (error) {
      throw await this.#superseded(id, error);
    }
  }

  async #settle({ id, at, publish }: Kept, roles: readonly ProposedRole[]): Promise<Proposed> {
    const next = { roles: roles.map(({ name, metadata }) => ({ name, metadata })), files: publish.files };
    const waiting = { id, at, roles: roles.map(waitingRole) };
    // Before it is published: a signature that was taken is not lost.
    await this.#keep(waiting, next);
    if (roles.some((role) => missingOf(role) > 0)) return { id, waiting };
    try {
      const published = await this.#repository.publish(next);
      await this.#inbox.dropPending([id]);
      return { id, published };
    } catch (error) {
      throw await this.#superseded(id, error);
    }
  }

  async #keep(waiting: Waiting, publish: Publish): Promise<void> {
    const { id, at, roles } = waiting;
    const stored = {
      id,
      at,
      role: roles[0]?.name ?? '',
      summary: JSON.stringify(waitingJson(waiting)),
      body: bodyOf(publish),
    };
    if (await this.#inbox.putPending(stored, this.#room)) return;
    throw new ServiceError('pending-full', `${this.#room.most} changes wait for signatures already`);
  }

  /** What is wrong with the store is not the change's fault; anything else will not pass. */
  async #superseded(id: string, error: unknown): Promise<unknown> {
    if (!isLapseError(error) || /^(store|realm)-|^internal$/.test(error.code)) return error;
    await this.#inbox.dropPending([id]);
    return new ServiceError(
      'pending-superseded',
      `this change can no longer be made: ${error.message} (${error.code})`,
      { cause: error },
    );
  }

  async #kept(id: string): Promise<Kept | undefined> {
    const stored = await this.#inbox.findPending(id);
    if (!stored || this.#hasExpired(stored.at)) return undefined;
    return { id, at: stored.at, publish: parsePublish(stored.body) };
  }

  async #required(id: string): Promise<Kept> {
    const kept = await this.#kept(id);
    if (kept) return kept;
    throw new ServiceError(
      'not-found',
      'there is no such change: it was made, or superseded, or has expired',
    );
  }

  #hasExpired(at: number): boolean {
    return at + PENDING_LIMITS.keptMs <= this.#clock.now();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }
}

/** What further signatures may add to a body, in bytes: each role may be signed by as many keys as it may have. */
const SIGNATURES_BYTES = 256 << 10;
const { most, mostOfRole, bytesOfRole } = PENDING_LIMITS;
const ROOM: PendingRoom = { most, mostOfRole, bytesOfRole };

/** With all its signatures it is still a body that can be published. @throws ServiceError body-too-large */
function checkSize(publish: Publish): void {
  if (bodyOf(publish).length <= EXCHANGE_LIMITS.body - SIGNATURES_BYTES) return;
  throw new ServiceError('body-too-large', 'the change leaves no room for further signatures');
}

function bodyOf(publish: Publish): Uint8Array {
  return Buffer.from(JSON.stringify(encodePublish(publish)));
}

function signaturesIn(publish: Publish | undefined, name: string): readonly Signature[] {
  const role = publish?.roles.find((each) => each.name === name);
  return role ? parseTargets(role.metadata).file.signatures : [];
}

/** @throws ServiceError signature-refused, unless each counts alone */
function withAll(role: ProposedRole, signatures: MoreSignatures['signatures']): ProposedRole {
  const alone = { ...role, signatures: [] };
  if (signatures.every((signature) => withMore(alone, [signature]).signatures.length === 1)) {
    return withMore(role, signatures);
  }
  throw new ServiceError('signature-refused', `not a valid signature of ${role.name} by one of its keys`);
}

function waitingRole(proposed: ProposedRole): Waiting['roles'][number] {
  const { name, role, keys } = proposed;
  return { name, version: role.version, threshold: keys.threshold, signed: signersOf(proposed) };
}

function readSummary(json: string): Waiting {
  return readWaiting(parseJson(Buffer.from(json), PENDING_LIMITS.list));
}
