// The agent: keeps unlocked identities in its memory until their time is over, by boot time, and signs and decrypts
// for whoever reaches its socket, which is its user alone. It hands out no key. Its user's other processes can make it
// sign, as with ssh-agent; that ends with the time, or with `lapse lock`.
import type { JsonObject } from '../../../manifest/json.ts';
import { isLapseError } from '../../../manifest/errors.ts';
import { integer, string } from '../../../manifest/shape.ts';
import type { Clock } from '../../clock.ts';
import { ClientError } from '../../errors.ts';
import { PRIVATE_BYTES, holdIdentity, parseIdentityName } from '../identity.ts';
import type { Identity } from '../identity.ts';
import type { Frame } from './frame.ts';

export const AGENT_LIMITS = { identities: 64, seconds: 24 * 3600 } as const;

interface Held {
  readonly identity: Identity;
  /** Boot time, milliseconds. */
  readonly until: number;
}

const NOTHING = new Uint8Array(0);

export class Agent {
  readonly #clock: Clock;
  /** By key id. */
  readonly #held = new Map<string, Held>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers one request; a refusal is an answer, too. Zeroes the request's body. */
  async answer({ header, body }: Frame): Promise<Frame> {
    try {
      this.expire();
      return await this.#serve(header, body);
    } catch (error) {
      if (!isLapseError(error)) throw error;
      return { header: { error: error.code, message: error.message }, body: NOTHING };
    } finally {
      body.fill(0);
    }
  }

  /** Forgets what is over; the number of identities that are left. */
  expire(): number {
    const now = this.#clock.boot();
    for (const [keyid, { until }] of this.#held) if (until <= now) this.#held.delete(keyid);
    return this.#held.size;
  }

  async #serve(header: JsonObject, body: Uint8Array): Promise<Frame> {
    switch (header['op']) {
      case 'list':
        return { header: { identities: this.#list(), pid: process.pid }, body: NOTHING };
      case 'add':
        return { header: this.#add(header, body), body: NOTHING };
      case 'sign':
        return { header: {}, body: await this.#named(header).sign(body) };
      case 'decrypt':
        return { header: {}, body: await this.#named(header).decrypt(string(header['jwe'], 'jwe')) };
      case 'lock':
        this.#held.clear();
        return { header: {}, body: NOTHING };
      default:
        throw new ClientError('agent-refused', 'the agent does not know this request');
    }
  }

  #list(): readonly JsonObject[] {
    const now = this.#clock.boot();
    return [...this.#held.values()].map(({ identity: { public: keys }, until }) => ({
      name: keys.name,
      signing: keys.signing,
      x: keys.decryption.x,
      seconds: Math.ceil((until - now) / 1000),
    }));
  }

  /** An identity that is held already gets the new time. */
  #add(header: JsonObject, secret: Uint8Array): JsonObject {
    const name = parseIdentityName(string(header['name'], 'name'));
    const seconds = integer(header['seconds'], 'seconds', 1, AGENT_LIMITS.seconds);
    if (secret.length !== PRIVATE_BYTES) throw new ClientError('agent-refused', 'an identity has 64 bytes');
    const identity = holdIdentity(name, secret);
    const { keyid } = identity.public;
    if (!this.#held.has(keyid) && this.#held.size >= AGENT_LIMITS.identities) {
      throw new ClientError('agent-refused', `the agent holds at most ${AGENT_LIMITS.identities} identities`);
    }
    this.#held.set(keyid, { identity, until: this.#clock.boot() + seconds * 1000 });
    return {};
  }

  #named(header: JsonObject): Identity {
    const held = this.#held.get(string(header['keyid'], 'keyid'));
    if (held) return held.identity;
    throw new ClientError(
      'identity-locked',
      'the agent does not hold this identity any more; run: lapse unlock',
    );
  }
}
