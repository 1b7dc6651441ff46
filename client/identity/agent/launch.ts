// Starts an agent's process and waits until it listens.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { dirname, join } from 'node:path';
import type { Clock } from '../../clock.ts';
import { ClientError } from '../../errors.ts';
import { prepareDirectory } from './place.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const START_MS = 15_000;

/** @throws ClientError agent-unavailable */
export async function launchAgent(socket: string, clock: Clock): Promise<void> {
  await prepareDirectory(dirname(socket));
  // Only a shell can set a limit before the program runs; without core dumps no key ends on a disk.
  const child = spawn(
    '/bin/sh',
    ['-c', 'ulimit -c 0; exec "$@"', 'lapse-agent', process.execPath, MAIN, socket],
    {
      cwd: '/',
      env: {},
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    },
  );
  child.unref();
  const said = await firstWords(child.stdio[3] as Readable, clock);
  if (said !== 'ready') {
    throw new ClientError(
      'agent-unavailable',
      `the agent does not start: ${said === '' ? 'it ended' : said}`,
    );
  }
}

async function firstWords(pipe: Readable, clock: Clock): Promise<string> {
  const late = clock.deadline(START_MS);
  late.addEventListener('abort', () => pipe.destroy());
  let said = '';
  try {
    for await (const chunk of pipe as AsyncIterable<Buffer>) {
      said += chunk.toString().slice(0, 1024);
      if (said.length >= 1024) break;
    }
  } catch {
    return 'no answer in time';
  }
  return said;
}
