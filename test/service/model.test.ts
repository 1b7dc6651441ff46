// The model of a revocation (docs/model) in all its states: every claim holds, everything that must happen does, and each
// fault that is seeded into it breaks the claim that its README names. A search that was cut short proves nothing, so it
// fails. Needs spin and gcc, and no root.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

const run = promisify(execFile);

const folder = join(import.meta.dirname, '../../docs/model');
const model = join(folder, 'revocation.pml');
const source = readFileSync(model, 'utf8');
const readme = readFileSync(join(folder, 'README.md'), 'utf8');

/** How deep the search may go, in steps; several times what it needs. */
const DEPTH = 200_000;
/** A search's limit in MiB; it needs 300. */
const MEMORY = 1024;
/** All states take seconds on a quiet machine; in milliseconds. */
const LONG = 180_000;

const directory = mkdtempSync(join(tmpdir(), 'lapse-model-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Every fault that the model knows, so that none can be added without a test. */
const faults = [...new Set(source.match(/\bFAULT_[A-Z_]+\b/g))].sort();
/** What is seeded, and which claim that breaks, by the README's tables. */
const seeded = [...readme.matchAll(/^\| `([A-Z_]+)` \|.*\| ([1-3]) \|$/gm)].map(
  ([, name = '', claim]) => [name, Number(claim)] as const,
);

interface Outcome {
  /** Whether every state was seen. */
  readonly whole: boolean;
  readonly states: number;
  /** The claim that is broken first, if one is. */
  readonly claim: number | undefined;
  /** Whatever else is wrong, as pan says it. */
  readonly error: string | undefined;
  /** Statements that were never reached. */
  readonly unreached: readonly string[];
}

/** A program that searches the model with these definitions; optimised where all states are visited. */
async function compile(definitions: readonly string[], optimise: boolean): Promise<string> {
  const cwd = mkdtempSync(join(directory, 'pan-'));
  await run('spin', ['-a', '-o3', ...definitions.map((name) => `-D${name}`), model], { cwd });
  const flags = [optimise ? '-O2' : '-O0', '-w', '-DSAFETY', '-DNOFAIR', `-DMEMLIM=${MEMORY}`];
  await run('gcc', [...flags, '-o', 'pan', 'pan.c'], { cwd });
  return cwd;
}

async function search(cwd: string, depth = DEPTH): Promise<Outcome> {
  const { stdout } = await run('./pan', [`-m${depth}`, '-w22'], { cwd });
  return outcome(stdout);
}

function outcome(text: string): Outcome {
  const [, first] = /^pan:\d+: (.*) \(at depth \d+\)$/m.exec(text) ?? [];
  const [, claim] = /^assertion violated .*\|\|\((\d)[!=]=\d\)\)$/.exec(first ?? '') ?? [];
  const cut = /max search depth too small|Search not completed|out of memory|memory limit/i.test(text);
  return {
    whole: /^Full statespace search/m.test(text) && !cut && / errors: 0$/m.test(text),
    states: Number(/^\s*(\d+) states, stored/m.exec(text)?.[1]),
    claim: claim === undefined ? undefined : Number(claim),
    error: claim === undefined ? first : undefined,
    unreached: (text.match(/^\t.*, line \d+.*$|^\t.*:\d+, state .*$/gm) ?? []).filter(
      (line) => !line.endsWith('"-end-"'),
    ),
  };
}

test(
  'every claim holds, and everything that must happen happens',
  async () => {
    const pan = await compile([], true);
    const { states, ...rest } = await search(pan);
    process.stdout.write(`docs/model: ${states} states, all of them visited\n`);
    expect(rest).toEqual({ whole: true, claim: undefined, error: undefined, unreached: [] });
    expect(states).toBeGreaterThan(1_000_000);
    expect(source.match(/^ +reached\(/gm)?.length).toBeGreaterThanOrEqual(14);
    // One that stops early is no proof, and is not taken for one.
    expect((await search(pan, 1000)).whole).toBe(false);
  },
  LONG,
);

test(
  'that about receipts holds also when the service lies, if they are signed after saving',
  async () => {
    const pan = await compile(['SERVICE_LIES', 'SAVED_FIRST', 'CLAIM=3', 'LOOK=1'], true);
    const { whole, claim, error } = await search(pan);
    expect({ whole, claim, error }).toEqual({ whole: true, claim: undefined, error: undefined });
  },
  LONG,
);

test('the README lists every fault', () => {
  const listed = seeded.map(([name]) => name);
  expect(listed.filter((name) => name !== 'SERVICE_LIES').sort()).toEqual(faults);
});

test.for(seeded)('%s breaks claim %i', { timeout: LONG }, async ([name, broken]) => {
  const { claim, error } = await search(await compile([name, `CLAIM=${broken}`, 'LOOK=1'], false));
  expect({ claim, error }).toEqual({ claim: broken, error: undefined });
});
