// One request to the control API over its unix socket, for the OCI hook and for `lapsed status`.
import { request } from 'node:http';
import { connect } from 'node:net';
import { DaemonError } from '../errors.ts';

const DEADLINE_MS = 5000;
const MOST_BYTES = 8 << 20;

export interface ControlRequest {
  readonly socket: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

export interface ControlAnswer {
  readonly status: number;
  readonly body: string;
}

/** @throws DaemonError control-unavailable */
export function callControl({ socket, method, path, body }: ControlRequest): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(
        new DaemonError('control-unavailable', `lapsed does not answer on ${socket}; is it running?`, {
          cause,
        }),
      );
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const call = request({ socketPath: socket, method, path, headers, timeout: DEADLINE_MS }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MOST_BYTES) call.destroy(new Error('the answer is too large'));
      });
      answer.on('error', fail);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', fail);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
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
