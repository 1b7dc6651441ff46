// Requests to join, until somebody who may sign the fleet answers them. Anyone who can connect may leave one, and nothing
// here says that it is genuine: the MAC in it does, to whoever made the invitation. So they are few, small and short-lived.
import { JOINS } from '../manifest/realm/exchange.ts';
import type { HostKeys } from '../manifest/realm/hosts.ts';
import { encodeJoin } from '../manifest/realm/invite.ts';
import type { JoinRequest } from '../manifest/realm/invite.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { MemberList } from './members.ts';
import type { Inbox, StoredRequest } from './store/inbox.ts';

/** How long a request is kept, in milliseconds. */
const KEPT_MS = 24 * 3600_000;

export class JoinDesk {
  readonly #inbox: Inbox;
  readonly #members: MemberList;
  readonly #clock: Clock;
  readonly #most: number;

  constructor(inbox: Inbox, members: MemberList, clock: Clock, most = JOINS) {
    this.#inbox = inbox;
    this.#members = members;
    this.#clock = clock;
    this.#most = most;
  }

  /** Makes room by forgetting the oldest. @throws ServiceError join-exists, realm-missing, store-failed */
  async post(request: JoinRequest): Promise<void> {
    await this.#members.read();
    const { id, name } = request;
    const now = this.#clock.now();
    const stored = { id, name, keys: keysOf(request), body: JSON.stringify(encodeJoin(request)), at: now };
    if (await this.#inbox.putRequest(stored, now - KEPT_MS, this.#most)) return;
    throw new ServiceError('join-exists', 'a request with that invitation waits already');
  }

  /** Those that wait, oldest first, as JSON; hosts that were let in are forgotten. @throws ServiceError realm-missing, store-failed */
  async waiting(): Promise<string> {
    const { byKid } = await this.#members.read();
    const hosts = new Set([...byKid.values()].map((host) => `${host.name} ${keysOf(host)}`));
    const requests = await this.#inbox.requests(this.#clock.now() - KEPT_MS);
    const isIn = ({ name, keys }: StoredRequest): boolean => hosts.has(`${name} ${keys}`);
    const answered = requests.filter(isIn);
    if (answered.length > 0) await this.#inbox.dropRequests(answered.map(({ id }) => id));
    const bodies = requests.filter((request) => !isIn(request)).map(({ body }) => body);
    return `{"joins":[${bodies.join()}]}`;
  }
}

function keysOf({ signing, encryption }: Pick<HostKeys, 'signing' | 'encryption'>): string {
  return `${signing.x} ${encryption.x}`;
}
