// At a terminal (a pseudo-terminal of util-linux's `script`): a passphrase is typed twice and never shown, a wrong one may
// be typed again, the prompt of the shell comes back.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const LAPSE = join(import.meta.dirname, '../../../../bin/lapse');
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-terminal-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Types each answer once what stands before it was shown; everything that was shown comes back. */
async function at(command: string, ...dialogue: readonly (readonly [shown: string, typed: string])[]) {
  const env = { PATH: '/usr/bin:/bin', HOME: directory, LAPSE_REALM: 'operator', XDG_RUNTIME_DIR: directory };
  const child = spawn('script', ['-qec', `${LAPSE} ${command}`, '/dev/null'], { cwd: directory, env });
  let shown = '';
  let seen = 0;
  const steps = [...dialogue];
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    for (let step = steps[0]; step && shown.indexOf(step[0], seen) >= 0; step = steps[0]) {
      seen = shown.indexOf(step[0], seen) + step[0].length;
      child.stdin.write(step[1]);
      steps.shift();
    }
  });
  const [code] = (await once(child, 'close', { signal: AbortSignal.timeout(30_000) })) as [number];
  expect(steps, shown).toEqual([]);
  return { code, shown };
}

const PASSPHRASE = 'correct horse\r';

test('a new passphrase is typed twice and not shown; later a wrong one may be typed again', async () => {
  const made = await at('identity create alice', ['New passphrase', PASSPHRASE], ['again: ', PASSPHRASE]);
  expect(made.code).toBe(0);
  expect(made.shown).toMatch(/lapse1\S{91}/);
  expect(made.shown).not.toContain('correct');

  const unlocked = await at(
    'unlock --for 1s',
    ['Passphrase of alice', 'hunter2\r'],
    ['That is not it. Passphrase of alice', PASSPHRASE],
  );
  expect(unlocked.code).toBe(0);
  expect(unlocked.shown).toContain('Unlocked for 1s: alice');
  expect(unlocked.shown).not.toContain('hunter2');
});

test.for([
  ['two that differ', ['correct horse\r', 'correct house\r'], 'the two differ'],
  ['an empty one', ['\r'], 'is empty'],
  ['Ctrl-C', ['corr\x03'], 'no passphrase was given'],
] as const)('%s: nothing is made', async ([, typed, why]) => {
  const questions = ['New passphrase', 'again: '];
  const dialogue = typed.map((keys, i) => [questions[i]!, keys] as const);
  const { code, shown } = await at('identity create alice', ...dialogue);
  expect(code).toBe(2);
  expect(shown).toContain(why);
  expect(existsSync(join(directory, 'operator/identities/alice.identity'))).toBe(false);
});

test('the shell: its prompt comes back after a command, a mistake and Ctrl-C; Ctrl-D ends it', async () => {
  const { code, shown } = await at(
    'shell',
    ['lapse> ', 'identity create bob --no-passphrase\r'],
    ['lapse> ', 'half a line\x03'],
    ['lapse> ', 'identity show carol\r'],
    ['lapse> ', 'identity list\r'],
    ['lapse> ', '\x04'],
  );
  expect(code).toBe(0);
  expect(shown).toContain('[exit 1]');
  expect(shown).toMatch(/bob +no passphrase +lapse1/);
});
