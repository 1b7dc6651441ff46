// Replays docs/operations/first-hour.md line by line with the real programs: a service, an operator and three hosts with a
// mount each. Needs root. What the page shows is compared with what comes; `…` stands for anything within a line, alone
// for any lines. Paths and the port are other ones here, the rest is the page's own.
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { mountsBelow, until } from '../support/lapsed.ts';
import { outputPattern, pageSteps } from '../support/transcript.ts';
import type { PageStep } from '../support/transcript.ts';

const BIN = join(import.meta.dirname, '../../bin');
const PAGE = join(import.meta.dirname, '../../docs/operations/first-hour.md');
const HOSTS = ['web-1', 'web-2', 'web-3'];

/** How long programs may take to start; tests of containers run beside this one. */
const START_MS = 60_000;

/** Below those that the kernel gives away (ip_local_port_range), so that nobody gets it before the service does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
}

/** A directory in which each machine of the page has its own programs. */
class Town implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'lapse-hour-'));
  readonly #running: { readonly pid: number; readonly ended: Promise<unknown> }[] = [];
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
    mkdirSync(join(this.directory, 'run'), { mode: 0o700 });
    writeFileSync(join(this.directory, 'passphrase'), 'correct horse battery staple\n');
    for (const host of HOSTS) this.#makeHost(host);
  }

  /** `lapsed` there finds the configuration of that host. */
  #makeHost(host: string): void {
    const at = (...names: string[]): string => join(this.directory, host, ...names);
    mkdirSync(at('bin'), { recursive: true });
    const config = { state: at('state'), mount: at('lapse/fs'), control: at('lapsed/control.sock') };
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(at('lapsed.toml'), lines.join(''));
    writeFileSync(at('bin/lapsed'), `#!/bin/sh\nexec ${BIN}/lapsed --config ${at('lapsed.toml')} "$@"\n`);
    chmodSync(at('bin/lapsed'), 0o755);
  }

  #start(who: string, command: string, background: boolean) {
    const local = command
      .replaceAll('/var/lib/lapse-service', join(this.directory, 'service'))
      .replaceAll('127.0.0.1:7700', `127.0.0.1:${this.#port}`);
    const env = {
      PATH: `${join(this.directory, who, 'bin')}:${BIN}:/usr/sbin:/usr/bin:/sbin:/bin`,
      HOME: this.directory,
      XDG_RUNTIME_DIR: join(this.directory, 'run'),
      PIN: this.pin,
    };
    const options = { cwd: this.directory, env, detached: true } as const;
    const pipe = background ? 'ignore' : 'pipe';
    return spawn('sh', ['-c', `exec 2>&1\n${local}`], { ...options, stdio: ['ignore', pipe, 'inherit'] });
  }

  pin = '';

  async run({ who, command }: PageStep): Promise<string> {
    const child = this.#start(who, command, false);
    const ended = once(child, 'exit') as Promise<[number | null]>;
    const [said, [code]] = await Promise.all([text(child.stdout!), ended]);
    // Whoever waits for longer than 2 s is told so; on the page nobody has to.
    const output = said.replaceAll(/^Waiting for .*\n/gm, '');
    if (command.startsWith('lapse-service pin')) this.pin = output.trim();
    return `${output}${code === 0 ? '' : `[exit ${String(code)}]`}`.trim();
  }

  /** A program that goes on running; it is there when whoever asks it next gets an answer. */
  async begin({ who, command }: PageStep): Promise<void> {
    const child = this.#start(who, `exec ${command.replace(/ &$/, '')}`, true);
    this.#running.push({ pid: child.pid!, ended: once(child, 'exit') });
    const isThere = HOSTS.includes(who) ? () => this.#holds(who) : () => this.#listens();
    await until(`${who}: ${command}`, async () => (await isThere()) || undefined, START_MS);
  }

  async #holds(who: string): Promise<boolean> {
    const command = 'lapsed status | grep -q \'"holds":true\'';
    return !(await this.run({ who, command, expected: '' })).includes('[exit');
  }

  async #listens(): Promise<boolean> {
    const socket = connect(this.#port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run({ who: 'operator', command: 'lapse lock', expected: '' });
    for (const { pid } of this.#running.toReversed()) end(pid);
    await Promise.all(this.#running.map(({ ended }) => ended));
    for (const { directory } of mountsBelow(this.directory).toReversed())
      spawnSync('umount', ['-i', '-c', '-f', '-l', '--', directory], { timeout: 5000 });
    rmSync(this.directory, { recursive: true });
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

test('the first hour goes as its page says', { timeout: 300_000 }, async () => {
  await using town = new Town(await freePort());
  const page = pageSteps(readFileSync(PAGE, 'utf8'));
  expect(page.length).toBeGreaterThan(20);
  for (const step of page) {
    if (step.command.endsWith(' &')) await town.begin(step);
    else expect(await town.run(step), `${step.who}$ ${step.command}`).toMatch(outputPattern(step.expected));
  }
});
