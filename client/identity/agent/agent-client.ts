// The other end of the agent's socket: one connection for each request. No agent is a normal answer, not an error.
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { JsonObject } from '../../../manifest/json.ts';
import { array, hex, integer, object, string } from '../../../manifest/shape.ts';
import type { Clock } from '../../clock.ts';
import { ClientError } from '../../errors.ts';
import type { ClientCode } from '../../errors.ts';
import { publicKeys } from '../identity.ts';
import type { Identity, PublicIdentity } from '../identity.ts';
import { AGENT_LIMITS } from './agent.ts';
import { receiveFrame, sendFrame } from './frame.ts';
import type { Frame } from './frame.ts';
import { launchAgent } from './launch.ts';
import { agentSocket, isPrivate } from './place.ts';

const REQUEST_MS = 10_000;
const NOTHING = new Uint8Array(0);
/** What the agent refuses a request with, besides `agent-refused`. */
const CODES: readonly ClientCode[] = ['identity-locked', 'decryption-refused'];

/** An identity that the agent holds, and for how many more seconds. */
export interface Unlocked {
  readonly identity: PublicIdentity;
  readonly seconds: number;
}

export class AgentClient {
  readonly #socket: string;
  readonly #clock: Clock;

  private constructor(socket: string, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** The agent of that realm directory, whether it runs or not. */
  static async of(realmDirectory: string, clock: Clock): Promise<AgentClient> {
    return new AgentClient(await agentSocket(realmDirectory), clock);
  }

  /** What is unlocked; empty when no agent runs. */
  async list(): Promise<readonly Unlocked[]> {
    const answer = await this.#ask({ op: 'list' });
    if (!answer) return [];
    return array(answer.header['identities'], 'identities', AGENT_LIMITS.identities).map((value) => {
      const raw = object(value, 'identities');
      const keys = publicKeys(hex(raw['signing'], 'signing', 32), string(raw['x'], 'x'));
      return {
        identity: { name: string(raw['name'], 'name'), ...keys },
        seconds: integer(raw['seconds'], 'seconds'),
      };
    });
  }

  /** Unlocks one more identity for so many seconds, in an agent that is started if none runs. */
  async add(name: string, secret: Uint8Array, seconds: number): Promise<void> {
    const header = { op: 'add', name, seconds };
    if (await this.#ask(header, secret)) return;
    await launchAgent(this.#socket, this.#clock);
    if (!(await this.#ask(header, secret))) throw gone();
  }

  /** Ends the agent; false when none ran. */
  async lock(): Promise<boolean> {
    return (await this.#ask({ op: 'lock' })) !== undefined;
  }

  /** An identity that `list` named. */
  identity(keys: PublicIdentity): Identity {
    const { keyid } = keys;
    const ask = async (header: JsonObject, body: Uint8Array): Promise<Uint8Array> => {
      const answer = await this.#ask(header, body);
      if (!answer) throw gone();
      return answer.body;
    };
    return {
      public: keys,
      sign: (bytes) => ask({ op: 'sign', keyid }, bytes),
      decrypt: (jwe) => ask({ op: 'decrypt', keyid, jwe }, NOTHING),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  /** Undefined when no agent runs. @throws ClientError with the agent's own code */
  async #ask(header: JsonObject, body: Uint8Array = NOTHING): Promise<Frame | undefined> {
    // Another user's socket would be asked to sign, and told a key.
    if (!(await isPrivate(dirname(this.#socket)))) return undefined;
    const answer = await this.#exchange({ header, body });
    const code = answer?.header['error'];
    if (code === undefined) return answer;
    const message = string(answer?.header['message'], 'message');
    throw new ClientError(CODES.find((known) => known === code) ?? 'agent-refused', message);
  }

  /** An agent that dies right now resets what it has not accepted: asked again, soon after, it is gone. */
  async #exchange(request: Frame, attempts = 5): Promise<Frame | undefined> {
    const signal = this.#clock.deadline(REQUEST_MS);
    const socket = connect({ path: this.#socket, allowHalfOpen: true, signal });
    try {
      sendFrame(socket, request);
      return await receiveFrame(socket);
    } catch (cause) {
      if (cause instanceof ClientError) throw cause;
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
      if (code === 'ECONNRESET' && attempts > 1) {
        await this.#clock.sleep(20);
        return await this.#exchange(request, attempts - 1);
      }
      throw new ClientError('agent-unavailable', `the agent does not answer (${code ?? 'unknown'})`);
    } finally {
      socket.destroy();
    }
  }
}

function gone(): ClientError {
  return new ClientError('identity-locked', 'the agent has ended; run: lapse unlock');
}
