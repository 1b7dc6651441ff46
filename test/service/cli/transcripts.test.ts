// Replays the transcripts beside it (*.txt) with the real programs: each against a fresh lapse-service, in a fresh
// directory, as shell commands. In expected output `…` stands for anything within a line, and alone for any lines;
// `[exit N]` is the exit code, 0 when it is not there. Standard error is shown where standard output is.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { systemClock } from '../../../client/clock.ts';
import { httpTransport } from '../../../client/transport.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { Keyring } from '../../../daemon/vault/keyring.ts';
import { decrypt } from '../../../daemon/vault/opener.ts';
import type { RealmId } from '../../../manifest/names.ts';
import { associatedData, paddedBytes, valueRange } from '../../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';

const BIN = join(import.meta.dirname, '../../../bin');
const transcripts = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));

interface Step {
  readonly command: string;
  readonly expected: string;
}

function parse(transcript: string): readonly Step[] {
  const [, ...blocks] = transcript.split(/^\$ /m);
  return blocks.map((block) => {
    const [command = '', ...lines] = block.split('\n');
    return {
      command,
      expected: lines
        .filter((line) => !line.startsWith('# '))
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

/** A directory with a service, where `lapse` finds its realm in `operator`. */
class Stage implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'lapse-cli-'));
  readonly #service = spawn(join(BIN, 'lapse-service'), [
    '--data',
    join(this.directory, 'store'),
    '--listen',
    '127.0.0.1:0',
  ]);
  #url = '';

  static async make(): Promise<Stage> {
    const stage = new Stage();
    const [line] = (await once(stage.#service.stdout, 'data', { signal: AbortSignal.timeout(15_000) })) as [
      Buffer,
    ];
    stage.#url = /http:\S+/.exec(line.toString())![0];
    return stage;
  }

  /** What the hosts of the pool would read: every live version of every secret. */
  async values(): Promise<readonly string[]> {
    const clock = systemClock();
    const transport = httpTransport(this.#url, clock);
    const anchor = readFileSync(join(this.directory, 'operator/root.json'));
    const trust = (realm: RealmId): TrustStore => new TrustStore(join(this.directory, 'host'), realm);
    const updater = await Updater.open(anchor, trust, transport, clock);
    const keyring = await Keyring.read([join(this.directory, 'operator/pools/default.x25519')]);
    const { secrets } = await updater.refresh();
    const live = [...secrets.values()]
      .flatMap((of) => [...of.values()])
      .flatMap((secret) =>
        liveVersions(secret).map((version) => ({ ...secret, ...version, realm: updater.realm })),
      );
    return Promise.all(
      live.map(async (version) => {
        const file = version.path.replace('/', `/${version.sha256}.`);
        const envelope = await transport.target(file, version.length);
        return open(envelope, await keyring.unwrap(version.keys, version), version).toString();
      }),
    );
  }

  async run(command: string): Promise<string> {
    const { directory: cwd } = this;
    const env = {
      PATH: `${BIN}:/usr/bin:/bin`,
      HOME: cwd,
      LAPSE_REALM: 'operator',
      URL: this.#url,
      SERVICE: String(this.#service.pid),
    };
    const child = spawn('sh', ['-c', `exec 2>&1\n${command}`], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
    });
    const [output, [code]] = await Promise.all([
      text(child.stdout),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return `${output.trimEnd()}${code === 0 ? '' : `\n[exit ${code ?? 'by a signal'}]`}`.trim();
  }

  /** Everything that the programs wrote. */
  files(): readonly Buffer[] {
    return ['operator', 'store']
      .flatMap((name) => readdirSync(join(this.directory, name), { withFileTypes: true, recursive: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#service.exitCode === null && this.#service.signalCode === null) {
      const ended = once(this.#service, 'exit');
      this.#service.kill('SIGKILL');
      await ended;
    }
    rmSync(this.directory, { recursive: true });
  }
}

test.for(transcripts)('%s', { timeout: 90_000 }, async (name) => {
  const transcript = readFileSync(join(import.meta.dirname, name), 'utf8');
  const steps = parse(transcript);
  const values = steps.flatMap(({ command }) => /printf %s (\S+)/.exec(command)?.[1] ?? []);
  expect(steps.length).toBeGreaterThan(0);
  await using stage = await Stage.make();
  for (const { command, expected } of steps) {
    const said = await stage.run(command);
    if (!pattern(expected).test(said)) expect(`$ ${command}\n${said}`).toBe(`$ ${command}\n${expected}`);
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

function open(envelope: Uint8Array, key: Uint8Array, context: VersionContext): Buffer {
  const plain = Buffer.alloc(paddedBytes(envelope.length));
  decrypt({ key, context: associatedData(context), envelope, plain });
  return plain.subarray(...valueRange(plain));
}

test('what was generated is shown nowhere', { timeout: 60_000 }, async () => {
  await using stage = await Stage.make();
  let said = '';
  for (const command of [
    'lapse init --service $URL',
    'lapse namespace add payments',
    'printf %s first | lapse secret put payments/db',
    'lapse rotate payments/db --generate 24',
    'lapse --json rotate payments/db --generate 24',
    'lapse --json secret show payments/db',
    'lapse --json status',
  ]) {
    said += await stage.run(command);
  }
  expect(said).not.toContain('[exit');
  const values = await stage.values();
  expect(values).toEqual([expect.stringMatching(/^.{24}$/), expect.stringMatching(/^.{24}$/), 'first']);
  for (const value of values.slice(0, 2)) {
    expect(said).not.toContain(value);
    expect(stage.files().some((file) => file.includes(value))).toBe(false);
  }
});

test('a value on stdin is neither on the command line nor in the environment', async () => {
  await using stage = await Stage.make();
  await stage.run('lapse init --service $URL && lapse namespace add payments');
  const env = { PATH: '/usr/bin:/bin', HOME: stage.directory, LAPSE_REALM: 'operator' };
  const child = spawn(join(BIN, 'lapse'), ['secret', 'put', 'payments/db'], { cwd: stage.directory, env });
  const ended = once(child, 'exit') as Promise<[number]>;
  child.stdin.write('correct-horse');
  const shown = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${child.pid}/${file}`, 'latin1'));
  child.stdin.end();
  expect(await ended).toEqual([0, null]);
  expect(shown[0]).toContain('payments/db');
  expect(shown.join()).not.toContain('correct-horse');
});
