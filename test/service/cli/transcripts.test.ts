// Replays the transcripts beside it (*.txt) with the real programs: each against a fresh lapse-service, in a fresh
// directory. `$ ` begins a command of the shell, `lapse> ` a line of one `lapse shell` that lives as long as the transcript
// (starting Node for each command is what takes the time). In expected output `…` stands for anything within a line, and
// alone for any lines; `[exit N]` is the exit code, 0 when it is not there. Standard error is shown where standard output is.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { openAll } from '../../support/cli-host.ts';

const ROOT = join(import.meta.dirname, '../../..');
const BIN = join(ROOT, 'bin');
const transcripts = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));

interface Step {
  readonly prompt: string;
  readonly command: string;
  readonly expected: string;
}

function parse(transcript: string): readonly Step[] {
  const [, ...blocks] = transcript.split(/^(?=\$ |lapse> )/m);
  return blocks.map((block) => {
    const [line = '', ...lines] = block.split('\n');
    const prompt = line.startsWith('$ ') ? '$ ' : 'lapse> ';
    return {
      prompt,
      command: line.slice(prompt.length),
      expected: lines
        .filter((each) => !each.startsWith('# '))
        .join('\n')
        .trim(),
    };
  });
}

function pattern(expected: string): RegExp {
  const source = expected
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/^…$/gm, '[^]*?')
    .replaceAll('…', '.*');
  return new RegExp(`^${source}$`);
}

/** What the shell answers to a word that it does not know: then it has answered everything before. */
const ASKED = 'that-is-all';
const ANSWERED = `error: unknown command '${ASKED}'\n(lapse --help shows what there is)\n[exit 2]\n`;

/** A directory with a service, where `lapse` finds its realm in `operator`, and `host` is a host without a file system. */
class Stage implements AsyncDisposable {
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
    const [line] = (await once(stage.#service.stdout, 'data', { signal: AbortSignal.timeout(15_000) })) as [
      Buffer,
    ];
    stage.env['URL'] = /http:\S+/.exec(line.toString())?.[0] ?? '';
    return stage;
  }

  step({ prompt, command }: Step): Promise<string> {
    return prompt === '$ ' ? this.run(command) : this.ask(command);
  }

  async run(command: string): Promise<string> {
    const child = spawn('sh', ['-c', `exec 2>&1\n${command}`], {
      cwd: this.directory,
      env: this.env,
      stdio: ['ignore', 'pipe', 'inherit'],
      // No terminal: nobody can be asked.
      detached: true,
      timeout: 20_000,
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
    const late = AbortSignal.timeout(20_000);
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

test.for(transcripts)('%s', { timeout: 90_000 }, async (name) => {
  const transcript = readFileSync(join(import.meta.dirname, name), 'utf8');
  const steps = parse(transcript);
  const values = steps.flatMap(({ command }) => /printf %s (\S+)/.exec(command)?.[1] ?? []);
  expect(steps.length).toBeGreaterThan(0);
  await using stage = await Stage.make();
  for (const step of steps) {
    const said = await stage.step(step);
    const { prompt, command, expected } = step;
    if (!pattern(expected).test(said)) {
      expect(`${prompt}${command}\n${said}`).toBe(`${prompt}${command}\n${expected}`);
    }
    for (const value of values) expect(said, 'a value was printed').not.toContain(value);
  }
  if (values.length === 0) return;
  const files = stage.files();
  expect(files.length).toBeGreaterThan(5);
  for (const value of values)
    expect(
      files.some((file) => file.includes(value)),
      'a value was stored',
    ).toBe(false);
});

test(
  'what was generated is shown nowhere, and a host of the pool reads it',
  { timeout: 60_000 },
  async () => {
    await using stage = await Stage.make();
    let said = '';
    for (const command of [
      'lapse init --service $URL --no-passphrase',
      'lapse host invite > line && lapsed join --name web-1 --state web-1 --no-wait < line && lapse host approve --yes',
      'lapse namespace add payments',
      'printf %s first | lapse secret put payments/db --no-wait',
      'lapse rotate payments/db --generate 24 --no-wait',
      'lapse --json rotate payments/db --generate 24 --no-wait',
      'lapse --json secret show payments/db',
      'lapse --json status',
    ]) {
      said += await stage.run(command);
    }
    expect(said).not.toContain('[exit');
    const opened = [...(await openAll(join(stage.directory, 'web-1'))).values()].map((value) =>
      value?.toString(),
    );
    expect(opened).toEqual([expect.stringMatching(/^.{24}$/), expect.stringMatching(/^.{24}$/), 'first']);
    for (const value of opened.slice(0, 2)) {
      expect(said).not.toContain(value);
      expect(stage.files().some((file) => file.includes(value ?? ''))).toBe(false);
    }
  },
);

test('a value on stdin is neither on the command line nor in the environment', async () => {
  await using stage = await Stage.make();
  await stage.run('lapse init --service $URL --no-passphrase && lapse namespace add payments');
  const { directory: cwd, env } = stage;
  const child = spawn(join(BIN, 'lapse'), ['secret', 'put', 'payments/db'], { cwd, env });
  const ended = once(child, 'exit') as Promise<[number]>;
  child.stdin.write('correct-horse');
  const shown = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${child.pid}/${file}`, 'latin1'));
  child.stdin.end();
  expect(await ended).toEqual([0, null]);
  expect(shown[0]).toContain('payments/db');
  expect(shown.join()).not.toContain('correct-horse');
});
