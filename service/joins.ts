// Requests to join, until somebody who may sign the fleet answers them. Anyone who can connect may leave one, and nothing
// here says that it is genuine: the MAC in it does, to whoever made the invitation. So they are few, small and short-lived.
import { parseJson } from '../manifest/json.ts';
import { LIMITS } from '../manifest/limits.ts';
import { JOINS } from '../manifest/realm/exchange.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import { encodeJoin, readJoin } from '../manifest/realm/invite.ts';
import type { JoinRequest } from '../manifest/realm/invite.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { MemberList } from './members.ts';
import type { Inbox } from './store/inbox.ts';

/** How long a request is kept, in milliseconds. */
const KEPT_MS = 24 * 3600_000;

export class JoinDesk {
  readonly #inbox: Inbox;
  readonly #members: MemberList;
  readonly #clock: Clock;

  constructor(inbox: Inbox, members: MemberList, clock: Clock) {
    this.#inbox = inbox;
    this.#members = members;
    this.#clock = clock;
  }

  /** Makes room by forgetting the oldest. @throws ServiceError join-exists, realm-missing, store-failed */
  async post(request: JoinRequest): Promise<void> {
    await this.waiting();
    const body = JSON.stringify(encodeJoin(request));
    const isNew = await this.#inbox.putRequest({ id: request.id, body, at: this.#clock.now() }, JOINS);
    if (!isNew) throw new ServiceError('join-exists', 'a request with that invitation waits already');
  }

  /** Those that wait, oldest first; the others are forgotten. @throws ServiceError realm-missing, store-failed */
  async waiting(): Promise<readonly JoinRequest[]> {
    const { byKid } = await this.#members.read();
    const hosts = new Map([...byKid.values()].map((host) => [host.name, host]));
    const requests = (await this.#inbox.requests()).map(({ body, at }) => ({
      at,
      request: readJoin(parseJson(Buffer.from(body), LIMITS.joinBytes)),
    }));
    const isOver = ({ at, request }: (typeof requests)[number]): boolean =>
      at + KEPT_MS <= this.#clock.now() || isMember(request, hosts.get(request.name));
    const over = requests.filter(isOver);
    if (over.length > 0) await this.#inbox.dropRequests(over.map(({ request }) => request.id));
    return requests.filter((each) => !over.includes(each)).map(({ request }) => request);
  }
}

function isMember({ signing, encryption }: JoinRequest, host: HostRecord | undefined): boolean {
  return host?.signing.x === signing.x && host.encryption.x === encryption.x;
}
