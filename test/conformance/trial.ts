// One client against one simulated repository over HTTP on loopback: the commands of the conformance protocol, in process
// or as the executable, and what they left on disk.
import { spawn } from 'node:child_process';
import { mkdtempDisposable, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../client/clock.ts';
import { run } from './client.ts';
import { Simulator } from './simulator.ts';

const EXECUTABLE = join(import.meta.dirname, 'tuf-client');
const DAY = 24 * 3600_000;
const clock = systemClock();

export class Trial implements AsyncDisposable {
  readonly repository: Simulator;
  /** Days that the client's clock is ahead. */
  daysAhead = 0;
  /** Runs the executable instead of its code. */
  spawns = false;
  /** What the last command said. */
  said = '';
  readonly #directory: string;
  readonly #url: string;
  readonly #disposal: AsyncDisposableStack;

  private constructor(repository: Simulator, directory: string, url: string, disposal: AsyncDisposableStack) {
    this.repository = repository;
    this.#directory = directory;
    this.#url = url;
    this.#disposal = disposal;
  }

  /** A client that trusts the repository's first root. */
  static async begin(repository = new Simulator()): Promise<Trial> {
    const trial = await Trial.untrusting(repository);
    await trial.init(repository.published.get('root')![0]!);
    return trial;
  }

  static async untrusting(repository = new Simulator()): Promise<Trial> {
    const disposal = new AsyncDisposableStack();
    const directory = disposal.use(await mkdtempDisposable(join(tmpdir(), 'tuf-client-')));
    const server = disposal.use(
      createServer(({ url = '' }, answer) => {
        const bytes = repository.serve(url.slice('/a%20b'.length));
        answer.writeHead(bytes ? 200 : 404).end(bytes);
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new Trial(repository, directory.path, `http://127.0.0.1:${port}/a%20b`, disposal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disposal.disposeAsync();
  }

  async init(root: Uint8Array): Promise<number> {
    const file = join(this.#directory, 'initial-root');
    await writeFile(file, root);
    return this.#run('init', file);
  }

  refresh(): Promise<number> {
    return this.#run('--metadata-url', `${this.#url}/metadata/`, 'refresh');
  }

  download(...paths: readonly string[]): Promise<number> {
    const names = paths.flatMap((path) => ['--target-name', path]);
    const to = [
      '--target-base-url',
      `${this.#url}/targets`,
      '--target-dir',
      join(this.#directory, 'targets'),
    ];
    return this.#run('--metadata-url', `${this.#url}/metadata`, ...names, ...to, 'download');
  }

  /** What a command fetched, in order. */
  async asks(command: () => Promise<number>): Promise<readonly string[]> {
    this.repository.asked.length = 0;
    await command();
    return [...this.repository.asked];
  }

  /** Version by role of what is kept as trusted. */
  async trusted(): Promise<Readonly<Record<string, number>>> {
    const found: Record<string, number> = {};
    for (const name of await this.#list('metadata')) {
      const { signed } = JSON.parse((await this.kept(name)).toString()) as { signed: { version: number } };
      found[name.replace(/\.json$/, '')] = signed.version;
    }
    return found;
  }

  kept(file: string): Promise<Buffer> {
    return readFile(join(this.#directory, 'metadata', file));
  }

  /** Writes over a kept file, as a failing disk would. */
  async damage(file: string, text: string): Promise<void> {
    await stat(join(this.#directory, 'metadata', file));
    await writeFile(join(this.#directory, 'metadata', file), text);
  }

  /** What was downloaded, by file name. */
  async downloaded(): Promise<Readonly<Record<string, string>>> {
    const files = await this.#list('targets');
    const read = (name: string) => readFile(join(this.#directory, 'targets', name), 'utf8');
    return Object.fromEntries(
      await Promise.all(files.map(async (name) => [name, await read(name)] as const)),
    );
  }

  async #list(directory: string): Promise<readonly string[]> {
    return (await readdir(join(this.#directory, directory)).catch(() => [])).sort();
  }

  async #run(...argv: readonly string[]): Promise<number> {
    const args = ['--metadata-dir', join(this.#directory, 'metadata'), ...argv];
    this.said = '';
    if (this.spawns) return this.#spawn(args);
    const ahead = { ...clock, now: () => clock.now() + this.daysAhead * DAY };
    return run(args, ahead, (line) => (this.said += line));
  }

  #spawn(args: readonly string[]): Promise<number> {
    const child = spawn(EXECUTABLE, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    return new Promise((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  }
}
