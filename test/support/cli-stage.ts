// A stage for the real programs: a directory with a fresh lapse-service on loopback, where `lapse` finds its realm in
// `operator`, commands run without a terminal, and `host` (cli-host.ts) is a host without a file system.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const ROOT = join(import.meta.dirname, '../..');
export const BIN = join(ROOT, 'bin');

/** What the shell answers to a word that it does not know: then it has answered everything before. */
const ASKED = 'that-is-all';
const ANSWERED = `error: unknown command '${ASKED}'\n(lapse --help shows what there is)\n[exit 2]\n`;

/** A directory with a service, where `lapse` finds its realm in `operator`, and `host` is a host without a file system. */
export class Stage implements AsyncDisposable {
  readonly directory: string;
  readonly #service: ChildProcessWithoutNullStreams;
  readonly env: Record<string, string>;
  #shell: ChildProcessWithoutNullStreams | undefined;

  private constructor(directory: string, service: ChildProcessWithoutNullStreams) {
    this.directory = directory;
    this.#service = service;
    mkdirSync(join(directory, '.bin'));
    const host = `exec ${join(ROOT, 'node_modules/.bin/node')} ${join(ROOT, 'test/support/cli-host.ts')} "$@"`;
    writeFileSync(join(directory, '.bin/host'), `#!/bin/sh\n${host}\n`, { mode: 0o755 });
    this.env = {
      PATH: `${join(directory, '.bin')}:${BIN}:/usr/bin:/bin`,
      HOME: directory,
      LAPSE_REALM: 'operator',
      SERVICE: String(service.pid),
      XDG_RUNTIME_DIR: directory,
    };
  }

  static async make(): Promise<Stage> {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-cli-'));
    const options = ['--data', join(directory, 'store'), '--listen', '127.0.0.1:0', '--http'];
    const stage = new Stage(directory, spawn(join(BIN, 'lapse-service'), options));
    const [line] = (await once(stage.#service.stdout, 'data', { signal: AbortSignal.timeout(60_000) })) as [
      Buffer,
    ];
    stage.env['URL'] = /http:\S+/.exec(line.toString())?.[0] ?? '';
    return stage;
  }

  /** A command of the shell: what it says, and `[exit N]` if that is not 0. */
  async run(command: string): Promise<string> {
    const child = spawn('sh', ['-c', `exec 2>&1\n${command}`], {
      cwd: this.directory,
      env: this.env,
      stdio: ['ignore', 'pipe', 'inherit'],
      // No terminal: nobody can be asked.
      detached: true,
      timeout: 60_000,
    });
    const [output, [code]] = await Promise.all([
      text(child.stdout),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return `${output.trimEnd()}${code === 0 ? '' : `\n[exit ${code ?? 'by a signal'}]`}`.trim();
  }

  /** One line of the shell, and everything that it says. */
  async ask(line: string): Promise<string> {
    this.#shell ??= spawn('sh', ['-c', 'exec lapse shell 2>&1'], {
      cwd: this.directory,
      env: this.env,
      detached: true,
    });
    const { stdin, stdout } = this.#shell;
    stdin.write(`${line}\n${ASKED}\n`);
    let said = '';
    const late = AbortSignal.timeout(60_000);
    while (!said.endsWith(ANSWERED)) {
      const [chunk] = (await once(stdout, 'data', { signal: late })) as [Buffer];
      said += chunk.toString();
    }
    return said.slice(0, -ANSWERED.length).trim();
  }

  /** Everything that the programs wrote. */
  files(): readonly Buffer[] {
    return ['operator', 'store']
      .flatMap((name) => readdirSync(join(this.directory, name), { withFileTypes: true, recursive: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of readdirSync(this.directory, { withFileTypes: true, recursive: true })) {
      if (entry.name === 'pid') kill(Number(readFileSync(join(entry.parentPath, entry.name), 'utf8')));
    }
    for (const child of [this.#shell, this.#service]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was stopped by the transcript.
  }
}
