// Which host asks: a token for one request, signed with the key of a host of the realm, and accepted once. Which tokens were
// used is remembered for as long as they live, in memory; so one that was made before this start of a service that has a
// realm is refused, since nobody remembers whether it was used.
import { TOKEN_LIFETIME_S, TOKEN_TOLERANCE_S, verifyHostToken } from '../manifest/realm/host-token.ts';
import type { HostToken } from '../manifest/realm/host-token.ts';
import { ManifestError } from '../manifest/errors.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { MemberList } from './members.ts';

/** Unexpired tokens that are remembered: of one host, and of all. */
export interface TokenLimits {
  readonly perHost: number;
  readonly all: number;
}

/** A host that starts fetches each envelope with a token of its own. */
const TOKENS: TokenLimits = { perHost: 16_384, all: 524_288 };

/** From the earliest moment at which a token may have been made to the last at which it passes, in milliseconds. */
const LONGEST_MS = (TOKEN_LIFETIME_S + TOKEN_TOLERANCE_S) * 1000;

/** How often those that expired are forgotten, in milliseconds. */
const SWEEP_MS = 10_000;

export class Authentication implements Disposable {
  readonly #members: MemberList;
  readonly #clock: Clock;
  readonly #limits: TokenLimits;
  /** Tokens from before this may have been used; milliseconds since the epoch. */
  #since: number;
  /** Until whatever was valid at the start has expired, counted so that no step of the clock matters. */
  #sweepsToGo = Math.ceil(LONGEST_MS / SWEEP_MS) + 1;
  /** By the host's key, then by `jti`: until when the token lives, in milliseconds since the epoch. */
  readonly #used = new Map<string, Map<string, number>>();
  readonly #sweeping: Disposable;
  #count = 0;

  /** `since` is 0 for a service that had no realm before. */
  constructor(members: MemberList, clock: Clock, since: number, limits: TokenLimits = TOKENS) {
    this.#members = members;
    this.#clock = clock;
    this.#limits = limits;
    this.#since = since;
    this.#sweeping = clock.every(SWEEP_MS, () => this.#sweep());
  }

  /**
   * `authorization` is the request's header.
   * @throws ServiceError token-missing, token-replayed, tokens-exhausted, realm-missing; ManifestError token-malformed,
   * token-expired, token-early, host-unknown, host-removed
   */
  async host(authorization: string | undefined): Promise<HostRecord> {
    const token = /^Bearer ([\w.-]+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new ServiceError('token-missing', 'this needs the token of a host');
    const members = await this.#members.read();
    let found: HostRecord | undefined;
    const find = (kid: string): HostRecord | undefined => (found = members.find(kid));
    const verified = await verifyHostToken(token, find, members.realm, this.#clock.now());
    if (!found) throw new ManifestError('host-unknown', 'no host of this realm signed the token');
    this.#use(found, verified);
    return found;
  }

  [Symbol.dispose](): void {
    this.#sweeping[Symbol.dispose]();
  }

  #use({ kid }: HostRecord, { jti, until }: HostToken): void {
    if (until - LONGEST_MS < this.#since) {
      throw new ManifestError('token-expired', 'the token is older than this start of the service');
    }
    const used = this.#used.get(kid) ?? new Map<string, number>();
    if (used.has(jti)) throw new ServiceError('token-replayed', 'the token was used before');
    if (used.size >= this.#limits.perHost || this.#count >= this.#limits.all) {
      throw new ServiceError('tokens-exhausted', 'too many tokens came in two minutes; wait');
    }
    this.#used.set(kid, used.set(jti, until));
    this.#count++;
  }

  #sweep(): void {
    const now = this.#clock.now();
    if (--this.#sweepsToGo === 0) this.#since = 0;
    for (const [kid, used] of this.#used) {
      for (const [jti, until] of used) {
        if (until > now) continue;
        used.delete(jti);
        this.#count--;
      }
      if (used.size === 0) this.#used.delete(kid);
    }
  }
}
