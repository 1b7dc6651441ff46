// One request to the control API over its unix socket, for the OCI hook and for `lapsed status`.
import { connect } from 'node:net';
import type { Clock } from '../../client/clock.ts';
import { readBody, send } from '../../client/http.ts';
import type { HttpRequest } from '../../client/http.ts';
import { DaemonError } from '../errors.ts';

const DEADLINE_MS = 5000;
const MOST_BYTES = 8 << 20;

export interface ControlAnswer {
  readonly status: number;
  readonly body: string;
}

/** `to` is the socket. @throws DaemonError control-unavailable */
export async function callControl(
  request: Omit<HttpRequest, 'signal'>,
  clock: Clock,
): Promise<ControlAnswer> {
  const { to } = request;
  try {
    const answer = await send({ ...request, signal: clock.deadline(DEADLINE_MS) });
    const body = await readBody(answer, to, MOST_BYTES);
    return { status: answer.statusCode ?? 0, body: body.toString() };
  } catch (cause) {
    throw new DaemonError('control-unavailable', `lapsed does not answer on ${to}; is it running?`, {
      cause,
    });
  }
}

/** Whether somebody listens on a unix socket. */
export function reachable(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const answer = (yes: boolean): void => {
      connection.destroy();
      resolve(yes);
    };
    connection.once('connect', () => answer(true));
    connection.once('error', () => answer(false));
  });
}
