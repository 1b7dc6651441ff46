// Programs that run in a probe's control group, so that they are its workload: for as long as they are wanted, or to their
// end. Each has a process group of its own, and none of it outlives the test.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from './lapsed.ts';
import type { Probe } from './lapsed-probe.ts';

const PATIENCE = 20_000;
const FAKER = fileURLToPath(new URL('./lapsed-faker.ts', import.meta.url));
const REREADER = fileURLToPath(new URL('./lapsed-rereader.ts', import.meta.url));

/** What the shell is told: into the group first, then the program. */
function command({ group }: Probe, args: readonly string[]): readonly string[] {
  return ['-c', 'echo $$ >"$1" && shift && exec "$@"', 'sh', group.procs, ...args];
}

/** Its standard input stays open until it is ended, or dies with the process group. */
export function start(probe: Probe, args: readonly string[]) {
  return spawn('sh', command(probe, args), { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

export async function kill(child: ReturnType<typeof start>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid!, 'SIGKILL');
  await exited;
}

/** What the faker says of each attempt (lapsed-faker.ts). */
export async function attempts(probe: Probe, directory: string, name: string): Promise<readonly string[]> {
  const args = command(probe, [process.execPath, FAKER, directory, name]);
  const { stdout } = await promisify(execFile)('sh', args, { timeout: PATIENCE });
  return stdout.trim().split('\n');
}

/** Reads all the time (lapsed-rereader.ts). */
export class Rereader implements AsyncDisposable {
  readonly #child;
  #said = '';

  private constructor(probe: Probe, way: readonly string[]) {
    this.#child = start(probe, [process.execPath, REREADER, ...way]);
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
    this.#child.stderr.pipe(process.stderr);
  }

  static async start(probe: Probe, ...way: readonly string[]): Promise<Rereader> {
    const reader = new Rereader(probe, way);
    await until('reading', () => Promise.resolve(reader.#said === '' ? undefined : true));
    return reader;
  }

  /** Ends it: how often it saw what. */
  async seen(): Promise<ReadonlyMap<string, number>> {
    this.#child.stdin.end();
    await once(this.#child, 'close', { signal: AbortSignal.timeout(PATIENCE) });
    const [, report = ''] = this.#said.split('\n');
    return new Map(JSON.parse(report) as [string, number][]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kill(this.#child);
  }
}
