// The rule of fuse/permission.ts against the running kernel's: threads with all kinds of credentials say what they may
// do with nodes on a tmpfs, and the same is asked of `permits` about these very threads, in a process without
// privileges. Wrong rules go through the same table and must be caught by it.
import { execFileSync } from 'node:child_process';
import { constants, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permits, threadReader } from '../../fuse/permission.ts';
import type { ReadThread } from '../../fuse/permission.ts';
import { Bench, PermissionCaller } from '../support/permission-caller.ts';
import type { Asking, Credentials, Node, UserNamespace } from '../support/permission-caller.ts';

const { R_OK } = constants;
const OVERRIDE = 1 << 1;
const READ_SEARCH = 1 << 2;
/** All that a system without some of the others has, too. */
const ALL = 0xff;
const WHOLE = '         0          0 4294967295\n';
const SEED = 11;
const ANY_ID = [[0, 0, 0xffff_ffff]] as const;

const UIDS = [0, 1000, 1001, 100_000];
const GIDS = [0, 1000, 2000, 100_000];

/** Each owner and group with each choice of who may read; and then anything. */
const NODES: readonly Node[] = [
  ...UIDS.flatMap((uid) =>
    GIDS.flatMap((gid) =>
      [0o000, 0o004, 0o040, 0o044, 0o400, 0o404, 0o440, 0o444].map((mode): Node => {
        return { kind: 'file', mode, uid, gid };
      }),
    ),
  ),
  ...fc.sample(
    fc.record({
      kind: fc.constantFrom('file' as const, 'directory' as const),
      mode: fc.integer({ min: 0, max: 0o777 }),
      uid: fc.constantFrom(...UIDS),
      gid: fc.constantFrom(...GIDS),
    }),
    { seed: SEED, numRuns: 128 },
  ),
];

/** As containers have them: a range of their own, single ids, and those that have some users but not the groups. */
const NAMESPACES: readonly (UserNamespace | undefined)[] = [
  undefined,
  { uids: [[0, 100_000, 65_536]], gids: [[0, 100_000, 65_536]] },
  // prettier-ignore
  { uids: [[0, 0, 1], [1000, 1000, 1]], gids: [[0, 0, 1], [1000, 1000, 1]] },
  // prettier-ignore
  { uids: ANY_ID, gids: [[0, 0, 1], [1000, 2000, 1]] },
  // prettier-ignore
  { uids: [[0, 1000, 1], [1000, 1001, 1]], gids: ANY_ID },
];

const user = (uid: number, gid: number, ...groups: number[]): Credentials => {
  return { uid, gid, groups, effective: 0 };
};

const CALLERS: readonly Credentials[] = [
  { ...user(0, 0), effective: ALL },
  user(0, 0),
  user(1000, 1000),
  user(1000, 5000, 1000, 2000),
  user(1001, 2000, 0, 100_000),
  { ...user(1001, 5000), effective: READ_SEARCH },
  { ...user(1000, 5000), effective: OVERRIDE },
  { ...user(1001, 5000, 2000), effective: ALL & ~(OVERRIDE | READ_SEARCH) },
  { ...user(1001, 5000), effective: 0, permitted: ALL },
  { ...user(0, 0), effective: 0, permitted: ALL, fs: { uid: 1000, gid: 2000 } },
  { ...user(0, 0), effective: ALL, fs: { uid: 1000, gid: 2000 } },
  ...NAMESPACES.slice(1).map((namespace) => ({ ...user(0, 0), effective: ALL, namespace: namespace! })),
  ...fc.sample(
    fc
      .record({
        uid: fc.constantFrom(0, 1000),
        gid: fc.constantFrom(0, 1000),
        groups: fc.subarray([0, 1000]),
        effective: fc.constantFrom(0, OVERRIDE, READ_SEARCH, OVERRIDE | READ_SEARCH),
        namespace: fc.constantFrom(...NAMESPACES),
      })
      .map(({ namespace, ...ids }) => (namespace ? { ...ids, namespace } : ids)),
    { seed: SEED, numRuns: 16 },
  ),
];

const readThread = threadReader();

/** Reads as ever, but something is changed on the way. */
const changed =
  (change: (text: string, file: string) => string): ReadThread =>
  (tid, file) => {
    const text = readThread(tid, file);
    return text === undefined ? undefined : change(text, file);
  };

type Rule = (node: Node, caller: Asking, firstThread: number) => boolean;

const reading =
  (read: ReadThread): Rule =>
  (node, caller) =>
    permits(node, caller, R_OK, read);

const WRONG: Readonly<Record<string, Rule>> = {
  'knows no supplementary groups': reading(changed((text) => text.replace(/\nGroups:.*/, '\nGroups:\t'))),
  'knows no capabilities': reading(changed((text) => text.replace(/\nCapEff:.*/, '\nCapEff:\t0'))),
  'takes what is permitted for what is effective': reading(
    changed((text) => text.replace(/(\nCapPrm:(.*))\nCapEff:.*/, '$1\nCapEff:$2')),
  ),
  'ignores the map of users': reading(changed((text, file) => (file === 'uid_map' ? WHOLE : text))),
  'ignores the map of groups': reading(changed((text, file) => (file === 'gid_map' ? WHOLE : text))),
  'asks about the first thread of the process': (node, caller, tid) =>
    permits(node, { ...caller, tid }, R_OK),
  'grants to all what others may': (node, caller) =>
    permits({ ...node, mode: node.mode | ((node.mode & 7) * 0o11) }, caller, R_OK),
};

/** Unlike root, this may not read what /proc hides. */
function unprivileged<Result>(act: () => Result): Result {
  process.setegid?.(990);
  process.seteuid?.(990);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

let bench: Bench;

beforeAll(() => {
  bench = new Bench(NODES);
});
afterAll(() => bench[Symbol.dispose]());

describe('against the kernel', () => {
  const disagreements: string[] = [];
  const caught = new Set<string>();
  const seen = { no: 0, yes: 0 };

  function compare(credentials: Credentials, caller: Asking, firstThread: number, verdicts: string): void {
    NODES.forEach((node, index) => {
      const row = verdicts.slice(index * 8, index * 8 + 8);
      [R_OK, 1, 2, 3, 4, 5, 6, 7].forEach((mask, column) => {
        const kernel = row[column] === '1';
        seen[kernel ? 'yes' : 'no'] += 1;
        if (permits(node, caller, mask) !== kernel)
          disagreements.push(JSON.stringify({ credentials, node, mask, kernel }));
      });
      for (const [name, rule] of Object.entries(WRONG))
        if (!caught.has(name) && rule(node, caller, firstThread) !== (row[0] === '1')) caught.add(name);
    });
  }

  beforeAll(async () => {
    for (const credentials of CALLERS) {
      await using thread = await PermissionCaller.start(bench, credentials);
      const verdicts = await thread.ask(`verdicts ${NODES.length}`);
      expect(verdicts).toHaveLength(NODES.length * 8);
      unprivileged(() => compare(credentials, thread.caller, thread.pid, verdicts));
    }
  });

  it('opening and access, with every mask, in every row', () => {
    expect(disagreements).toEqual([]);
    expect(seen.yes).toBeGreaterThan(10_000);
    expect(seen.no).toBeGreaterThan(10_000);
  });

  it('control: it was asked without privileges', () => {
    expect(() => unprivileged(() => readdirSync('/proc/1/fd'))).toThrow('EACCES');
    expect(readdirSync('/proc/1/fd')).toContain('0');
  });

  it.each(Object.keys(WRONG))('control: the table catches a rule that %s', (rule) => {
    expect(caught).toContain(rule);
  });
});

describe('a thread that shows more than it may do', () => {
  const foreign: Node = { kind: 'file', mode: 0o440, uid: 1001, gid: 2000 };
  let name: string;

  beforeAll(() => {
    name = bench.add(foreign);
  });

  it('a worker of io_uring that was made before the process gave up its privileges', async () => {
    await using thread = await PermissionCaller.start(bench, { ...user(0, 0), effective: ALL });
    expect(await thread.ask(`ring ${name}`)).toBe('1');
    await thread.tell('caps 0 0');
    expect(await thread.ask(`ring ${name}`)).toBe('0');
    const { tid } = thread.caller;
    const worker = readdirSync(`/proc/${thread.pid}/task`)
      .map(Number)
      .find((other) => ![thread.pid, tid].includes(other))!;
    const asWorker = { ...thread.caller, tid: worker };
    expect(readThread(worker, 'status'), 'control').toMatch(/\nCapEff:\t0*ff\n/);
    expect(permits(foreign, asWorker, R_OK)).toBe(false);
    const noWorker = changed((text, file) => (file === 'stat' ? readThread(tid, 'stat')! : text));
    expect(permits(foreign, asWorker, R_OK, noWorker), 'control').toBe(true);
  });

  it('access(2) in a program that somebody else started, and that runs as root', async () => {
    await using thread = await PermissionCaller.start(bench, { ...user(0, 0), effective: ALL });
    await thread.tell('uids 1000 0 0');
    expect(await thread.ask(`access ${name}`)).toBe('0');
    expect(permits(foreign, { ...thread.caller, uid: 1000 }, R_OK)).toBe(false);
    expect(permits(foreign, thread.caller, R_OK), 'control: what it may open').toBe(true);
  });

  it.each([
    ['groups', '\rGroups:\t2000', /^Groups:\t2000$/m],
    ['capabilities', '\rCapEff:\tfffff', /^CapEff:\tfffff$/m],
  ] as const)('a name that looks like %s', async (_, title, naive) => {
    await using thread = await PermissionCaller.start(bench, user(1000, 1000));
    await thread.tell(`name ${title}`);
    expect(readThread(thread.caller.tid, 'status'), 'control').toMatch(naive);
    expect(permits(foreign, thread.caller, R_OK)).toBe(false);
  });

  it('one that has ended', async () => {
    const thread = await PermissionCaller.start(bench, user(1000, 1000, 2000));
    expect(permits(foreign, thread.caller, R_OK), 'control').toBe(true);
    await thread[Symbol.asyncDispose]();
    expect(permits(foreign, thread.caller, R_OK)).toBe(false);
  });
});

describe('/proc', () => {
  it('is read whole with as many groups as the kernel allows', async () => {
    const groups = Array.from({ length: 65_536 }, (_, index) => 4_294_900_000 + index);
    const node: Node = { kind: 'file', mode: 0o040, uid: 0, gid: groups.at(-1)! };
    const name = bench.add(node);
    await using thread = await PermissionCaller.start(bench, user(1000, 1000, ...groups));
    expect(await thread.ask(`access ${name}`)).toBe('1');
    expect(permits(node, thread.caller, R_OK)).toBe(true);
    expect(permits(node, thread.caller, R_OK, threadReader(64 * 1024)), 'control').toBe(false);
  });

  it('is read whole with a map as long as the kernel allows', async () => {
    const extents = Array.from({ length: 340 }, (_, index) => [index, 3000 + 2 * index, 1] as const);
    const [, last] = extents.at(-1)!;
    const node: Node = { kind: 'file', mode: 0, uid: last, gid: last };
    const name = bench.add(node);
    const credentials = { ...user(0, 0), effective: ALL, namespace: { uids: extents, gids: extents } };
    await using thread = await PermissionCaller.start(bench, credentials);
    expect(await thread.ask(`access ${name}`)).toBe('1');
    expect(permits(node, thread.caller, R_OK)).toBe(true);
    expect(permits({ ...node, uid: last - 1 }, thread.caller, R_OK), 'control').toBe(false);
    const firstPage = changed((text) => text.slice(0, 4096));
    expect(permits(node, thread.caller, R_OK, firstPage), 'control').toBe(false);
  });

  it('is no basis in a user namespace that does not have every id', () => {
    const program = `
      const { threadReader } = await import(${JSON.stringify(new URL('../../fuse/permission.ts', import.meta.url))});
      process.stdout.write(String(threadReader()(process.pid, 'status') !== undefined));`;
    const script = ['--input-type=module', '--eval', program];
    const run = (command: string, ...parameters: string[]) =>
      execFileSync(command, [...parameters, ...script], { encoding: 'utf8', timeout: 20_000 });
    expect(run('unshare', '--user', '--map-root-user', process.execPath)).toBe('false');
    expect(run(process.execPath), 'control').toBe('true');
  });
});
