import { AssertionError } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PosixMount } from '../support/fuse-posix-mount.ts';
import type { Engine } from '../support/fuse-posix-mount.ts';
import { compileProbe, Probe } from '../support/fuse-posix-probe.ts';
import { LIMITS, ROWS } from './posix.ts';
import type { Capability, Row } from './posix/row.ts';

const ENGINES: readonly Engine[] = ['kernel', 'fuse-native'];
const tools = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
let program: string;
/** What this kernel lacks, and how it said so. */
const lacking = new Map<Capability, string>();

beforeAll(async () => {
  program = compileProbe(tools);
  await using probe = await Probe.start(program);
  const file = await probe.opened(program);
  for (const way of ['io_uring', 'aio'] as const) {
    const answer = await probe.ask('read', way, file, 1, 0);
    if (!answer.startsWith('1 ')) lacking.set(way, answer);
  }
});

afterAll(() => rmSync(tools, { recursive: true }));

describe.each(ENGINES)('%s', (engine) => {
  let mount: PosixMount | undefined;

  const discard = async () => {
    await mount?.[Symbol.asyncDispose]();
    mount = undefined;
  };

  afterEach(() => mount?.tidy());
  afterAll(discard);

  async function run(row: Row): Promise<void> {
    if (row.ends) await discard();
    mount ??= await PosixMount.start({ engine, probe: program });
    let spoiled = row.ends === true;
    try {
      await row.run(mount);
    } catch (error) {
      // What is no finding but a hang or a crash would spoil the rows to come.
      spoiled ||= !(error instanceof AssertionError);
      throw error;
    } finally {
      if (spoiled) await discard();
    }
  }

  it.each(ROWS.map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const lack = row.needs && lacking.get(row.needs);
    if (lack !== undefined) {
      process.stdout.write(`not checked, since this kernel has no ${row.needs} (${lack}): ${row.name}\n`);
      return;
    }
    const limit = LIMITS.find((one) => one.engine === engine && one.row === row.name);
    if (limit === undefined) await run(row);
    else {
      process.stdout.write(`${engine} cannot: ${row.name} (${limit.reason})\n`);
      await expect(run(row)).rejects.toThrow(limit.instead);
    }
  });
});

describe('the table', () => {
  const names = ROWS.map(({ name }) => name);

  it('has every name once, and no limit without a row', () => {
    expect(new Set(names).size).toBe(names.length);
    for (const { row } of LIMITS) expect(names).toContain(row);
  });

  it('is what docs/engines.md tells', () => {
    const text = readFileSync(new URL('../../docs/engines.md', import.meta.url), 'utf8');
    const told = text
      .split('\n')
      .map((line) => /^\| `(kernel|fuse-native)` \| ([^|]+) \|/.exec(line))
      .filter((match) => match !== null)
      .map(([, engine, row]) => `${engine}: ${row?.trim()}`);
    expect(told.sort()).toEqual(LIMITS.map(({ engine, row }) => `${engine}: ${row}`).sort());
  });
});
