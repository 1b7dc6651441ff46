// Replays the transcripts beside it (*.txt) with the real programs: each against a fresh lapse-service, in a fresh
// directory. `$ ` begins a command of the shell, `lapse> ` a line of one `lapse shell` that lives as long as the transcript
// (starting Node for each command is what takes the time). In expected output `…` stands for anything within a line, and
// alone for any lines, or none; `[exit N]` is the exit code, 0 when it is not there. Standard error is shown where
// standard output is.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openAll } from '../../support/cli-host.ts';
import { BIN, Stage } from '../../support/cli-stage.ts';
import { outputPattern } from '../../support/transcript.ts';

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

// Two at a time, which is as many as there are processors to wait for.
test.concurrent.for(transcripts)('%s', { timeout: 240_000 }, async (name) => {
  const transcript = readFileSync(join(import.meta.dirname, name), 'utf8');
  const steps = parse(transcript);
  const values = steps.flatMap(({ command }) => /printf %s (\S+)/.exec(command)?.[1] ?? []);
  expect(steps.length).toBeGreaterThan(0);
  await using stage = await Stage.make();
  for (const step of steps) {
    const { prompt, command, expected } = step;
    const said = await (prompt === '$ ' ? stage.run(command) : stage.ask(command));
    if (!outputPattern(expected).test(said)) {
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
  { timeout: 120_000 },
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

test(
  'a value on stdin is neither on the command line nor in the environment',
  { timeout: 120_000 },
  async () => {
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
  },
);
