// Owners and modes, as processes in a user namespace meet them: in runc and podman, root and others, with and without
// capabilities. Who may read a file reads it, who may not gets EACCES; ids that the namespace does not map show as
// 65534, and no capability of the container reaches them.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ContainerHost, FS } from '../support/container-host.ts';
import { ROOT } from '../support/container-inside.ts';
import type { Inside, User } from '../support/container-inside.ts';
import { podman } from '../support/container-podman.ts';
import { runc } from '../support/container-runc.ts';

/** For what follows by itself; a busy machine may take its time. */
const SOON = { timeout: 20_000 };
/** For a container with podman, and for all commands that prepare the machine. */
const BEGIN_MS = 180_000;

/** The container's 0 and the following ones are the host's: */
const NAMESPACE = { uid: 100_000, gid: 200_000, count: 65_536 };

/** As the container counts, where `nobody` has the number by which it sees what it does not map. */
const READERS = {
  root: { ...ROOT, capabilities: ['CAP_DAC_OVERRIDE'] },
  searcher: { ...ROOT, capabilities: ['CAP_DAC_READ_SEARCH'] },
  bare: ROOT,
  app: { uid: 1000, gid: 1000 },
  member: { uid: 1001, gid: 1000 },
  added: { uid: 1002, gid: 1002, groups: [1000] },
  stranger: { uid: 1003, gid: 1003 },
  nobody: { uid: 65534, gid: 65534 },
} as const satisfies Record<string, User>;

type Reader = keyof typeof READERS;

/** `r`: reads it. `-`: EACCES. */
const TABLE = `
file         granted          mode   seen          root searcher bare app member added stranger nobody
root-0400    100000:200000    0400   0:0           r    r        r    -   -      -     -        -
root-0440    100000:201000    0440   0:1000        r    r        r    r   r      r     -        -
app-0400     101000:201000    0400   1000:1000     r    r        -    r   -      -     -        -
app-0440     101000:201000    0440   1000:1000     r    r        -    r   r      r     -        -
app-0040     101000:201000    0040   1000:1000     r    r        -    -   r      r     -        -
app-0404     101000:201000    0404   1000:1000     r    r        r    r   -      -     r        r
host-0400    0:0              0400   65534:65534   -    -        -    -   -      -     -        -
host-0440    0:0              0440   65534:65534   -    -        -    -   -      -     -        -
host-0444    0:0              0444   65534:65534   r    r        r    r   r      r     r        r
uid-0400     101000:0         0400   1000:65534    -    -        -    r   -      -     -        -
gid-0440     0:201000         0440   65534:1000    -    -        -    r   r      r     -        -
beyond-0400  165536:200000    0400   65534:0       -    -        -    -   -      -     -        -
last-0400    165535:265535    0400   65535:65535   r    r        -    -   -      -     -        -
`;

const [[, , , , ...COLUMNS] = [], ...ROWS] = TABLE.trim()
  .split('\n')
  .map((line) => line.split(/\s+/));

const FILES = ROWS.map(([file = '', owner = '', mode = '', seen = '', ...verdicts]) => ({
  file,
  owner,
  mode,
  seen,
  verdicts,
}));

const values = new Map(FILES.map(({ file }) => [file, randomBytes(24).toString('base64url')]));

const expected = (reader: Reader): Record<string, string> =>
  Object.fromEntries(FILES.map(({ file, verdicts }) => [file, verdicts[COLUMNS.indexOf(reader)] ?? '?']));

/** What a user may read; access(2) must say the same. */
async function readable(inside: Inside, user: User): Promise<Record<string, string>> {
  const script = `cd ${FS}/self && for file in *; do
    printf '%s|' "$file" "$(cat "$file" 2>&1)"; /usr/bin/test -r "$file"; echo $?
  done`;
  const lines = (await inside.sh(script, user)).trimEnd().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [file = '', said = '', access] = line.split('|');
      if (said === values.get(file) && access === '0') return [file, 'r'];
      return [file, said.endsWith(': Permission denied') && access === '1' ? '-' : line];
    }),
  );
}

let machine: ContainerHost;

/** Takes two commands a file, each a process of its own. */
beforeAll(async () => {
  machine = await ContainerHost.start();
  for (const { file, owner, mode } of FILES) {
    const [uid = '', gid = ''] = owner.split(':');
    await machine.host.put(file, values.get(file) ?? '', '--grant', 'web');
    await machine.host.lapse('grant', `payments/${file}`, 'web', '--uid', uid, '--gid', gid, '--mode', mode);
  }
}, BEGIN_MS);

afterAll(() => machine[Symbol.asyncDispose]());

async function expectOwners(inside: Inside, ids: 'seen' | 'owner'): Promise<void> {
  for (const row of FILES) {
    const stat = `100${row.mode.slice(1)} 32 ${row[ids].replace(':', ' ')}`;
    await expect.poll(() => inside.ask('stat', `${FS}/self/${row.file}`), SOON).toBe(stat);
  }
}

describe.each([
  { make: runc, readers: Object.keys(READERS) as Reader[] },
  // Its `exec` gives no capabilities or groups.
  { make: podman, readers: ['root', 'app', 'member', 'stranger', 'nobody'] as const },
])('$make.name with a user namespace', ({ make, readers }) => {
  let inside: Inside;

  const begin = async (): Promise<void> => {
    // What `become` needs; podman gives it unasked.
    const more = make === runc ? { capabilities: ['CAP_SETUID', 'CAP_SETGID'] } : {};
    inside = await machine.inside(make, { workload: 'web', userNamespace: NAMESPACE, ...more });
  };

  beforeAll(begin, BEGIN_MS);
  // It may have become somebody else.
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await begin();
  }, BEGIN_MS);

  it('files carry the ids of their grant, as the container counts', () => expectOwners(inside, 'seen'));

  it.each(readers)('%s reads what it may', async (reader) => {
    expect(await readable(inside, READERS[reader])).toEqual(expected(reader));
  });

  it('root without capabilities reads what is its own', async () => {
    const options = { workload: 'web', userNamespace: NAMESPACE, capabilities: [] };
    expect(await readable(await machine.inside(make, options), ROOT)).toEqual(expected('bare'));
  });

  it('a descriptor outlives the right to open it, and gives no new one', async () => {
    const file = `${FS}/self/root-0400`;
    const held = await inside.ask('open', file);
    expect(await inside.ask('read', held)).toBe(values.get('root-0400'));
    expect(await inside.ask('become', '1000 1000')).toBe('done');
    expect(await inside.ask('read', held)).toBe(values.get('root-0400'));
    expect(await inside.ask('cat', file)).toBe('EACCES');
    expect(await inside.ask('open', `/proc/self/fd/${held}`)).toBe('EACCES');
    expect(await inside.ask('cat', `${FS}/self/app-0400`), 'control').toBe(values.get('app-0400'));
  });
});

it("without a user namespace the ids are the host's, and root with capabilities reads all", async () => {
  const inside = await machine.inside(runc, { workload: 'web' });
  await expectOwners(inside, 'owner');
  const all = Object.fromEntries(FILES.map(({ file }) => [file, 'r']));
  expect(await readable(inside, READERS.root)).toEqual(all);
  expect(await readable(inside, { uid: 101_000, gid: 201_000 })).toEqual(expected('app'));
  expect(await readable(inside, ROOT), 'who is 0 here').toMatchObject({ 'host-0400': 'r', 'root-0400': '-' });
});
