// The agent's process: `lapse unlock` starts it, in a session of its own, with nothing in its environment and only a
// socket's path in its arguments; the keys come over that socket. It ends when it holds nothing more, when it is
// locked, or when its socket was taken away or replaced. Descriptor 3 is told once that it listens, or why not.
import { chmodSync, closeSync, lstatSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { once } from 'node:events';
import { systemClock } from '../../clock.ts';
import { ClientError } from '../../errors.ts';
import { Agent } from './agent.ts';
import { receiveFrame, sendFrame } from './frame.ts';

/** How long one request may take, and how often the time is looked at, in milliseconds. */
const REQUEST_MS = 10_000;
const TICK_MS = 250;
/** For the first identity to arrive, in milliseconds. */
const FIRST_MS = 30_000;
const CONNECTIONS = 64;

const clock = systemClock();
const agent = new Agent(clock);

async function serve(socket: Socket): Promise<void> {
  const late = clock.deadline(REQUEST_MS);
  late.addEventListener('abort', () => socket.destroy());
  socket.on('error', () => socket.destroy());
  try {
    const request = await receiveFrame(socket);
    const answer = await agent.answer(request);
    sendFrame(socket, answer);
    answer.body.fill(0);
    if (request.header['op'] === 'lock') socket.once('close', () => end());
  } catch (error) {
    socket.destroy();
    if (!(error instanceof ClientError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** The inode of the socket that others find under `path`. */
function inodeAt(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Listens under a name of its own, then takes the place of an agent that is gone. */
async function listen(server: Server, path: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  server.listen(draft);
  await once(server, 'listening');
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

const [, , path = ''] = process.argv;
let own: bigint | undefined;

function end(): never {
  if (own !== undefined && inodeAt(path) === own) rmSync(path, { force: true });
  process.exit(0);
}

function refuseCoreDumps(): void {
  if (/^Max core file size +0 /m.test(readFileSync('/proc/self/limits', 'latin1'))) return;
  throw new ClientError('agent-unavailable', 'core dumps must be off');
}

/** Says one word to whoever started this, if it still listens. */
function tell(word: string): void {
  try {
    writeSync(3, word);
    closeSync(3);
  } catch {
    // Nobody waits for it any more.
  }
}

try {
  refuseCoreDumps();
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(socket));
  server.maxConnections = CONNECTIONS;
  await listen(server, path);
  own = inodeAt(path);
} catch (error) {
  tell(error instanceof Error ? error.message : 'failed');
  process.exit(1);
}
tell('ready');

const first = clock.boot() + FIRST_MS;
let hadSome = false;
clock.every(TICK_MS, () => {
  const isEmpty = agent.expire() === 0;
  hadSome ||= !isEmpty;
  if (inodeAt(path) !== own || (isEmpty && (hadSome || clock.boot() > first))) end();
});
