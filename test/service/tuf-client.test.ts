// The client workflow of TUF 1.0.34, seen from outside as tuf-conformance sees it: exit codes, what is kept as trusted,
// what is downloaded, and which files are asked for in which order.
import { describe, expect, test } from 'vitest';
import { Simulator, newSigner } from '../conformance/simulator.ts';
import type { TestSigner } from '../conformance/simulator.ts';
import { Trial } from '../conformance/trial.ts';

const TOP = { root: 1, snapshot: 1, targets: 1, timestamp: 1 };
const BELOW = ['targets', 'snapshot', 'timestamp'];
type Role = 'root' | 'timestamp' | 'snapshot' | 'targets';

describe('a first refresh', () => {
  test('asks for each file once, in the order of the workflow, and keeps it byte for byte', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.published.set('timestamp', [
      Buffer.concat([repository.newest('timestamp'), Buffer.from(' ')]),
    ]);
    const asked = await trial.asks(() => trial.refresh());
    expect(asked).toEqual(['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json']);
    for (const role of Object.keys(TOP)) {
      expect(await trial.kept(`${role}.json`)).toEqual(Buffer.from(repository.newest(role)));
    }
    expect(await trial.asks(() => trial.refresh())).toEqual(['2.root.json', 'timestamp.json']);
  });

  test('asks for names without versions when root says so', async () => {
    await using trial = await Trial.begin(new Simulator({ consistent: false }));
    trial.repository.addTarget('targets', 'a/b', 'text');
    trial.repository.publishBelow('targets');
    const asked = await trial.asks(() => trial.download('a/b'));
    expect(asked).toEqual(['2.root.json', 'timestamp.json', 'snapshot.json', 'targets.json', 'a/b']);
    expect(await trial.downloaded()).toEqual({ 'a%2Fb': 'text' });
  });

  test.for<[string, (bytes: Uint8Array) => string]>([
    ['malformed', (bytes) => Buffer.from(bytes).toString().replace('"version":1', '"version":"1"')],
    [
      'not signed',
      (bytes) =>
        Buffer.from(bytes)
          .toString()
          .replace(/"sig":"...../, '"sig":"00000'),
    ],
  ])('from a root that is %s asks for nothing', async ([, change]) => {
    await using trial = await Trial.untrusting();
    expect(await trial.init(Buffer.from(change(trial.repository.newest('root'))))).toBe(1);
    expect(await trial.refresh()).toBe(1);
    expect(trial.repository.asked).toEqual([]);
  });
});

describe('what was verified before a failure stays', () => {
  const second = { root: 2, timestamp: 2, snapshot: 2 };
  const cases: readonly [Role, Record<string, number>][] = [
    ['root', { root: 1 }],
    ['timestamp', { root: 2 }],
    ['snapshot', { root: 2, timestamp: 2 }],
    ['targets', second],
  ];

  test.for(cases)('%s is not signed', async ([role, kept]) => {
    await using trial = await Trial.begin();
    trial.repository.signers.set(role, []);
    trial.repository.publish('root', ...BELOW);
    expect(await trial.refresh()).toBe(1);
    expect(trial.said).toMatch('signature-threshold');
    expect(await trial.trusted()).toEqual(kept);
  });

  test.for(cases.filter(([role]) => role !== 'timestamp'))(
    '%s has another version than its name',
    async ([role, kept]) => {
      await using trial = await Trial.begin();
      const { repository } = trial;
      repository.publish('root', ...BELOW);
      const next = { ...repository.draft(role), version: 3 };
      repository.drafts.set(role, { ...next, version: 2 });
      repository.tamper(role, (file) => (file.signed['version'] = 3));
      expect(await trial.refresh()).toBe(1);
      expect(await trial.trusted()).toEqual(kept);
    },
  );

  test.for([
    ['timestamp', { ...TOP }],
    ['snapshot', { ...TOP, timestamp: 2 }],
    ['targets', { ...TOP, timestamp: 2, snapshot: 2 }],
  ] as const)('%s has expired', async ([role, kept]) => {
    await using trial = await Trial.begin();
    expect(await trial.refresh()).toBe(0);
    trial.repository.expire(role, -5);
    trial.repository.publish(...BELOW);
    expect(await trial.refresh()).toBe(1);
    expect(trial.said).toMatch('metadata-expired');
    expect(await trial.trusted()).toEqual(kept);
  });

  test('an expired root is kept, and nothing below it is taken', async () => {
    await using trial = await Trial.begin();
    expect(await trial.refresh()).toBe(0);
    trial.repository.expire('root', -1);
    trial.repository.publish('root', ...BELOW);
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ ...TOP, root: 2 });
  });

  test.for([
    ['snapshot', { ...TOP, timestamp: 2 }, '2.snapshot.json'],
    ['targets', { ...TOP, timestamp: 2, snapshot: 2 }, '2.targets.json'],
  ] as const)('%s is missing', async ([role, kept, last]) => {
    await using trial = await Trial.begin();
    expect(await trial.refresh()).toBe(0);
    trial.repository.publish(...BELOW);
    trial.repository.published.get(role)!.pop();
    expect((await trial.asks(() => trial.refresh())).at(-1)).toBe(last);
    expect(trial.said).toMatch('not-found');
    expect(await trial.trusted()).toEqual(kept);
  });

  test('a snapshot in the place of a timestamp', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.addKey('snapshot', repository.signers.get('timestamp')![0]);
    repository.meta('snapshot')['snapshot.json'] = { version: 1 };
    repository.publish('root', 'snapshot');
    repository.published.get('timestamp')!.push(repository.newest('snapshot'));
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 2 });
  });
});

describe('lengths and hashes', () => {
  test.for([['sha256'], ['sha512'], ['sha256', 'sha512']] as const)('%s are taken', async (hashes) => {
    await using trial = await Trial.begin();
    trial.repository.hashes = hashes;
    trial.repository.publish(...BELOW);
    expect(await trial.refresh()).toBe(0);
  });

  test.for([
    ['snapshot', 'sha256', { ...TOP, timestamp: 2 }],
    ['snapshot', 'sha512', { ...TOP, timestamp: 2 }],
    ['targets', 'sha512', { ...TOP, timestamp: 2, snapshot: 2 }],
  ] as const)('a wrong one of %s: %s', async ([role, name, kept]) => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    expect(await trial.refresh()).toBe(0);
    repository.hashes = ['sha256', 'sha512'];
    repository.publish('targets');
    if (role === 'snapshot') repository.publish('snapshot');
    const meta = repository.meta(role === 'snapshot' ? 'timestamp' : 'snapshot')[`${role}.json`];
    const { hashes } = meta as { hashes: Record<string, string> };
    hashes[name] = '0'.repeat(hashes[name]!.length);
    if (role === 'targets') repository.publish('snapshot');
    repository.publish('timestamp');
    expect(await trial.refresh()).toBe(1);
    expect(trial.said).toMatch('hash-mismatch');
    expect(await trial.trusted()).toEqual(kept);
  });
});

describe('what nobody specified changes nothing', () => {
  test('members and keys with members that are not known', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.draft('root')['x-anything'] = { a: [1, 'two', null] };
    repository.addKey('root', newSigner('ecdsa', { 'x-more': { a: 1 }, keyid_hash_algorithms: 'md5' }));
    repository.roleKeys('root').threshold = 2;
    repository.publish('root');
    expect(await trial.refresh()).toBe(0);
    expect(await trial.trusted()).toEqual({ ...TOP, root: 2 });
  });

  test('another timestamp of the same version is not taken', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    expect(await trial.refresh()).toBe(0);
    repository.published.delete('timestamp');
    repository.meta('timestamp')['snapshot.json'] = { version: 100 };
    repository.publish('timestamp');
    expect(await trial.asks(() => trial.refresh())).toEqual(['2.root.json', 'timestamp.json']);
    expect((await trial.kept('timestamp.json')).toString()).not.toMatch('"version":100');
  });
});

describe('time', () => {
  test('a root that runs out by the clock of the host stops everything', async () => {
    await using trial = await Trial.begin();
    trial.repository.expire('root', 7);
    trial.repository.publish('root');
    expect(await trial.refresh()).toBe(0);
    trial.daysAhead = 8;
    expect(await trial.refresh()).toBe(1);
  });

  test.for(['root', 'timestamp'])('a kept %s that ran out is replaced', async (role) => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.expire(role, 7);
    repository.publish(role);
    expect(await trial.refresh()).toBe(0);
    repository.expire(role, 21);
    repository.publish(...(role === 'root' ? ['root'] : BELOW));
    trial.daysAhead = 18;
    expect(await trial.refresh()).toBe(0);
    expect((await trial.trusted())[role]).toBe(3);
  });
});

describe('back to an older version', () => {
  test.for([[[]], [['sha256']]] as const)('snapshot and targets, hashes %j', async ([hashes]) => {
    for (const role of ['snapshot', 'targets']) {
      await using trial = await Trial.begin();
      const { repository } = trial;
      repository.hashes = hashes;
      repository.publish(...BELOW);
      expect(await trial.refresh()).toBe(0);
      repository.published.delete(role);
      repository.draft(role)['version'] = 1;
      repository.publish(...(role === 'targets' ? BELOW : BELOW.slice(1)));
      expect(await trial.refresh()).toBe(1);
      expect(trial.said).toMatch('version-rollback');
      expect(await trial.trusted()).toMatchObject({ snapshot: 2, targets: 2 });
    }
  });

  test('the timestamp', async () => {
    await using trial = await Trial.begin();
    trial.repository.publish('timestamp');
    expect(await trial.refresh()).toBe(0);
    trial.repository.published.get('timestamp')!.pop();
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ ...TOP, timestamp: 2 });
  });

  test('a snapshot that was kept guards, though the timestamp moved past it in a refresh that failed', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.publish(...BELOW);
    expect(await trial.refresh()).toBe(0);
    repository.published.delete('targets');
    repository.draft('targets')['version'] = 1;
    repository.publish(...BELOW);
    expect(await trial.refresh()).toBe(1);
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 1, timestamp: 3, snapshot: 2, targets: 2 });
  });

  test('a role may not vanish from the snapshot', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.delegate('targets', 'a');
    repository.publishBelow('a', 'targets');
    expect(await trial.refresh()).toBe(0);
    delete repository.meta('snapshot')['a.json'];
    repository.publish('snapshot', 'timestamp');
    expect(await trial.refresh()).toBe(1);
    expect(trial.said).toMatch('role-vanished');
  });

  test.for<[Role, readonly Role[]]>([
    ['timestamp', ['timestamp']],
    ['snapshot', ['snapshot', 'timestamp']],
    ['targets', ['snapshot']],
  ])('%s recovers from a fast-forward by other keys', async ([role, rotated]) => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.delegate('targets', 'a');
    repository.publish('a');
    for (let i = 0; i < 20; i++) repository.publish(role);
    repository.publish(...BELOW);
    expect(await trial.refresh()).toBe(0);
    for (const each of rotated) repository.rotate(each);
    repository.published.delete(role);
    repository.draft(role)['version'] = 1;
    delete repository.meta('snapshot')['a.json'];
    repository.publish('root', ...BELOW);
    expect(await trial.refresh()).toBe(0);
    expect((await trial.trusted())[role]).toBe(1);
  });

  test('keys that stay valid for what was fast-forwarded do not bring it back', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (let i = 0; i < 20; i++) repository.publish('timestamp');
    expect(await trial.refresh()).toBe(0);
    repository.addKey('timestamp');
    repository.publish('root');
    const held = repository.published.get('timestamp');
    repository.published.delete('timestamp');
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 2, targets: 1 });
    expect(held).toHaveLength(21);
    repository.draft('timestamp')['version'] = 1;
    repository.publish('timestamp');
    expect(await trial.refresh()).toBe(0);
  });
});

describe('keys', () => {
  test.for(['ed25519', 'ecdsa', 'rsa'] as const)(
    '%s counts, and its wrong signature does not',
    async (type) => {
      await using trial = await Trial.begin();
      const { repository } = trial;
      const { keyid } = repository.addKey('root', newSigner(type));
      repository.roleKeys('root').threshold = 2;
      repository.publish('root');
      expect(await trial.refresh()).toBe(0);
      repository.publish('root');
      repository.tamper('root', ({ signatures }) => {
        const own = signatures.find((signature) => signature['keyid'] === keyid)!;
        const sig = own['sig'] as string;
        own['sig'] = `${sig.startsWith('0') ? '1' : '0'}${sig.slice(1)}`;
      });
      expect(await trial.refresh()).toBe(1);
      expect(await trial.trusted()).toEqual({ ...TOP, root: 2 });
    },
  );

  test.for(['', '00', 'no hexadecimal', 'ab'.repeat(64)])('a signature %j spoils no file', async (sig) => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.addKey('timestamp', newSigner('ecdsa'));
    repository.publish('root', 'timestamp');
    repository.tamper('timestamp', ({ signatures }) => (signatures[1]!['sig'] = sig));
    expect(await trial.refresh()).toBe(0);
  });

  test('a key id that signs twice is refused, and one that a role lists twice', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.tamper('snapshot', ({ signatures }) => signatures.push(signatures[0]!));
    expect(await trial.refresh()).toBe(1);
    const signer = newSigner();
    for (let i = 0; i < 3; i++) repository.addKey('snapshot', signer);
    repository.publish('root');
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 1, timestamp: 1 });
  });

  test('a threshold that there are not enough keys for is never met', async () => {
    await using trial = await Trial.begin();
    for (let i = 0; i < 4; i++) trial.repository.addKey('snapshot');
    trial.repository.roleKeys('snapshot').threshold = 6;
    trial.repository.publish('root', 'snapshot', 'timestamp');
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 2, timestamp: 2 });
  });
});

interface Version {
  readonly keys: readonly number[];
  readonly threshold: number;
  readonly signers: readonly number[];
}
const v = (keys: readonly number[], threshold: number, signers: readonly number[]): Version => ({
  keys,
  threshold,
  signers,
});
const pool = Array.from({ length: 10 }, () => newSigner('ecdsa'));

function give(repository: Simulator, role: string, { keys, threshold, signers }: Version): void {
  Object.assign(repository.roleKeys(role), { keyids: [], threshold });
  for (const i of keys) repository.addKey(role, pool[i]);
  repository.signers.set(
    role,
    signers.map((i) => pool[i] as TestSigner),
  );
}

describe('roots that follow each other', () => {
  const five = [0, 1, 2, 3, 4];
  test.for<[string, readonly Version[], boolean]>([
    ['another key', [v([1], 1, [1]), v([2], 1, [2, 1]), v([2], 1, [2])], true],
    ['strangers sign too', [v([1], 1, [3, 1, 4]), v([2], 1, [3, 2, 1, 4]), v([2], 1, [3, 2, 4])], true],
    ['any three of five', [v(five, 3, [0, 2, 4]), v(five, 3, [0, 4, 1]), v(five, 3, [1, 2, 3])], true],
    ['one of five changes', [v(five, 3, [0, 2, 4]), v([0, 1, 3, 4, 5], 3, [0, 4, 1])], true],
    ['five others', [v(five, 3, [0, 2, 4]), v([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7])], true],
    ['a higher threshold', [v([1, 2, 3], 1, [1]), v([1, 2, 3], 2, [1, 2])], true],
    ['a lower one', [v([1, 2, 3], 2, [1, 2]), v([1, 2, 3], 1, [1, 2]), v([1, 2, 3], 1, [1])], true],
    ['the old key did not sign', [v([1], 1, [1]), v([2], 1, [2, 3, 4])], false],
    ['the new key did not sign', [v([1], 1, [1]), v([2], 1, [1, 3, 4])], false],
    ['too few new keys', [v(five, 3, [0, 2, 4]), v([0, 1, 3, 4, 5], 3, [0, 2, 4])], false],
    ['too few old keys', [v(five, 3, [0, 2, 4]), v([0, 1, 3, 4, 5], 3, [0, 4, 5])], false],
    ['the higher threshold is not met', [v([1, 2, 3], 1, [1]), v([1, 2, 3], 2, [2])], false],
    ['the higher threshold still counts', [v([1, 2, 3], 2, [1, 2]), v([1, 2, 3], 1, [1])], false],
  ])('%s', async ([, versions, works]) => {
    const repository = new Simulator();
    repository.published.delete('root');
    for (const version of versions) {
      give(repository, 'root', version);
      repository.publish('root');
    }
    await using trial = await Trial.begin(repository);
    expect(await trial.refresh()).toBe(works ? 0 : 1);
    expect((await trial.trusted())['root']).toBe(works ? versions.length : versions.length - 1);
  });

  test('each one on the way is kept, also when a later one fails', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (let i = 0; i < 3; i++) repository.publish('root');
    repository.tamper('root', ({ signatures }) => (signatures[0]!['sig'] = '00'.repeat(64)));
    expect(await trial.refresh()).toBe(1);
    expect(await trial.trusted()).toEqual({ root: 3 });
  });
});

describe('keys of the roles below root', () => {
  test.for<[string, Version, boolean]>([
    ['another key', v([2], 1, [2]), true],
    ['strangers sign too', v([1], 1, [3, 1, 4]), true],
    ['only strangers sign', v([2], 1, [1, 3, 4]), false],
    ['one of three is a stranger', v([0, 1, 3, 4, 5], 3, [0, 2, 4]), false],
    ['two of three', v([0, 1, 3, 4, 5], 3, [0, 4]), false],
    ['three of five', v([0, 1, 2, 3, 4], 3, [1, 4, 2]), true],
  ])('%s', async ([, version, works]) => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (const role of ['timestamp', 'snapshot', 'targets']) {
      give(repository, role, version);
      repository.publish('root', ...BELOW);
      expect(await trial.refresh()).toBe(works ? 0 : 1);
      if (works) expect(await trial.kept(`${role}.json`)).toEqual(Buffer.from(repository.newest(role)));
    }
  });
});

describe('delegations', () => {
  type Edge = readonly [from: string, to: string, terms?: { terminating?: boolean; paths?: string[] }];
  const only = { paths: ['*.py'] };
  const last = { terminating: true };

  async function visited(edges: readonly Edge[], path: string, setUp?: (to: Simulator) => void) {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (const [from, to, terms] of edges) repository.delegate(from, to, terms);
    setUp?.(repository);
    repository.publishBelow(...new Set(edges.flatMap(([from, to]) => [to, from])));
    let code: number | undefined;
    const asked = await trial.asks(async () => (code = await trial.download(path)));
    const roles = asked.slice(4).flatMap((file) => /^1\.(.+)\.json$/.exec(file)?.[1] ?? []);
    return { code, roles: roles.join(' '), files: Object.values(await trial.downloaded()) };
  }

  test.for<[string, string, readonly Edge[]]>([
    ['one', 'A', [['targets', 'A']]],
    [
      'two',
      'A B',
      [
        ['targets', 'A'],
        ['targets', 'B'],
      ],
    ],
    [
      'depth first',
      'A C D B',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C'],
        ['A', 'D'],
      ],
    ],
    [
      'deeper first',
      'A C D B',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C'],
        ['C', 'D'],
      ],
    ],
    [
      'a terminating one',
      'A C',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C', last],
        ['A', 'D'],
      ],
    ],
    [
      'below a terminating one',
      'A C D',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C', last],
        ['C', 'D'],
      ],
    ],
    [
      'other paths',
      'B',
      [
        ['targets', 'A', only],
        ['targets', 'B'],
        ['A', 'C'],
      ],
    ],
    [
      'other paths below',
      'A B',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C', only],
        ['C', 'D'],
      ],
    ],
    [
      'a circle',
      'A B C D',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['C', 'D'],
        ['D', 'B'],
      ],
    ],
    [
      'two to one',
      'A C B',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['A', 'C'],
      ],
    ],
    [
      'one that matches',
      'A B C',
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['A', 'C', only],
      ],
    ],
  ])('are asked in order: %s', async ([, order, edges]) => {
    expect(await visited(edges, 'missing')).toEqual({ code: 1, roles: order, files: [] });
  });

  test.for<[string, string, number]>([
    ['top', '', 0],
    ['README.md', 'A', 0],
    ['docs/README.md', '', 1],
    ['README.MD', '', 1],
    ['foo-1.tgz', 'A', 0],
    ['foo-alpha.tgz', '', 1],
    ['releases/x/one', 'B C', 0],
    ['releases/y/one.zip', 'B D', 0],
    ['releases/z/one.zip', 'B', 1],
  ])('a target is found where every delegator allows it: %s', async ([path, roles, code]) => {
    const edges: readonly Edge[] = [
      ['targets', 'A', { paths: ['*.md', 'foo-?.tgz'] }],
      ['targets', 'B', { paths: ['releases/*/*'] }],
      ['B', 'C', { paths: ['releases/x/*'] }],
      ['B', 'D', { paths: ['releases/y/*.zip'] }],
    ];
    const found = await visited(edges, path, (repository) => {
      repository.addTarget('targets', 'top', 'top');
      for (const each of ['README.md', 'docs/README.md', 'foo-1.tgz', 'foo-alpha.tgz']) {
        repository.addTarget('A', each, each);
      }
      repository.addTarget('C', 'releases/x/one', 'releases/x/one');
      for (const each of ['releases/y/one.zip', 'releases/z/one.zip']) repository.addTarget('D', each, each);
    });
    expect(found).toEqual({ code, roles, files: code === 0 ? [path] : [] });
  });

  test('one role under two delegators is verified by the keys of each', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (const team of ['a', 'b']) {
      repository.delegate('targets', `team-${team}`, { paths: [`${team}/*`] });
      repository.delegate(`team-${team}`, 'release', { paths: [`${team}/*`] });
      repository.addTarget('release', `${team}/file`, team);
    }
    repository.signers.get('release')!.pop();
    repository.publishBelow('release', 'team-a', 'team-b', 'targets');
    expect(await trial.download('a/file', 'b/file')).toBe(1);
    expect(trial.said).toMatch('signature-threshold');
    expect(await trial.downloaded()).toEqual({ 'a%2Ffile': 'a' });
    // Also when another process left it on the disk.
    expect(await trial.download('b/file')).toBe(1);
    expect(await trial.download('a/file')).toBe(0);
  });

  test('a role that the snapshot does not list is not asked for', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    repository.delegate('targets', 'a');
    repository.publish('a', 'targets');
    delete repository.meta('snapshot')['a.json'];
    repository.publish('snapshot', 'timestamp');
    expect(await trial.refresh()).toBe(0);
    expect(await trial.asks(() => trial.download('file'))).toEqual(['2.root.json', 'timestamp.json']);
    expect(trial.said).toMatch('role-unknown');
  });

  test.for(['?', '#', '/role', '../role', '..', 'a b', "it's", 'ä', 'root.json'])(
    'a role may be called %s, and no file leaves its directory',
    async (name) => {
      await using trial = await Trial.begin();
      trial.repository.delegate('targets', name, { paths: ['*', '*/*'] });
      trial.repository.addTarget(name, name, 'text');
      trial.repository.publishBelow(name, 'targets');
      expect(await trial.download(name)).toBe(0);
      expect(Object.keys(await trial.trusted())).toHaveLength(5);
      expect(Object.values(await trial.downloaded())).toEqual(['text']);
      expect(await trial.asks(() => trial.download(name))).toEqual(['2.root.json', 'timestamp.json']);
    },
  );

  test('succinct bins: the one of the path, and no other', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    const bins = Array.from({ length: 32 }, (_, i) => `bin-${i.toString(16).padStart(2, '0')}`);
    repository.delegateSuccinctly('targets', 5, 'bin', bins);
    // sha256('file3') begins with 6f, whose first five bits are 0d.
    repository.addTarget('bin-0d', 'file3', 'third');
    repository.publishBelow(...bins, 'targets');
    const asked = await trial.asks(() => trial.download('file3'));
    expect(asked.filter((file) => file.includes('bin'))).toEqual(['1.bin-0d.json']);
    expect(await trial.downloaded()).toEqual({ file3: 'third' });
  });
});

describe('downloads', () => {
  test('of the same file happen once, and of a new one again under the same name', async () => {
    await using trial = await Trial.begin();
    const { repository } = trial;
    for (const text of ['one', 'other']) {
      repository.addTarget('targets', 'file', text);
      repository.publishBelow('targets');
      expect(await trial.asks(() => trial.download('file'))).toContainEqual(expect.stringMatching(/\.file$/));
      expect((await trial.asks(() => trial.download('file'))).join()).not.toMatch('.file');
      expect(await trial.downloaded()).toEqual({ file: text });
    }
  });

  test.for([['sha256'], ['sha512'], ['sha256', 'sha512'], ['sha512', 'blake2b']])(
    'with %s',
    async (hashes) => {
      await using trial = await Trial.begin();
      trial.repository.addTarget('targets', 'file', 'text', hashes);
      trial.repository.publishBelow('targets');
      expect(await trial.download('file')).toBe(0);
    },
  );

  test('with no hash that is known are refused', async () => {
    await using trial = await Trial.begin();
    trial.repository.addTarget('targets', 'file', 'text', ['blake2b']);
    trial.repository.publishBelow('targets');
    expect(await trial.refresh()).toBe(0);
    expect(await trial.download('file')).toBe(1);
    expect(await trial.downloaded()).toEqual({});
  });

  test.for(['other', 'longer than it was', 'text that is longer by far, without an end'])(
    'of something else leave what was there: %s',
    async (text) => {
      await using trial = await Trial.begin();
      const { repository } = trial;
      repository.addTarget('targets', 'file', 'text');
      repository.publishBelow('targets');
      repository.targets.set('file', Buffer.from(text));
      expect(await trial.download('file')).toBe(1);
      expect(await trial.downloaded()).toEqual({});
    },
  );

  test('that nobody lists refresh all the same', async () => {
    await using trial = await Trial.begin();
    expect(await trial.download('nothing')).toBe(1);
    expect(await trial.trusted()).toEqual(TOP);
  });
});

describe('what is kept', () => {
  test.for(['timestamp', 'snapshot', 'targets'])('a broken %s is as if it were not there', async (role) => {
    await using trial = await Trial.begin();
    expect(await trial.refresh()).toBe(0);
    await trial.damage(`${role}.json`, '{"signed":');
    expect(await trial.refresh()).toBe(0);
    expect(await trial.kept(`${role}.json`)).toEqual(Buffer.from(trial.repository.newest(role)));
  });

  test('a broken root ends it', async () => {
    await using trial = await Trial.begin();
    expect(await trial.refresh()).toBe(0);
    await trial.damage('root.json', '{}');
    expect(await trial.asks(() => trial.refresh())).toEqual([]);
  });
});

test('the executable says the same', async () => {
  await using trial = await Trial.untrusting();
  trial.spawns = true;
  const { repository } = trial;
  repository.delegate('targets', '../role', { paths: ['a/*'] });
  repository.addTarget('../role', 'a/file', 'text');
  repository.publishBelow('../role', 'targets');
  expect(await trial.refresh()).toBe(1);
  expect(await trial.init(repository.newest('root'))).toBe(0);
  expect(await trial.refresh()).toBe(0);
  expect(await trial.download('a/file')).toBe(0);
  expect(await trial.downloaded()).toEqual({ 'a%2Ffile': 'text' });
  expect(await trial.download('b/file')).toBe(1);
  expect(trial.said).toBe('not-found: no role lists b/file\n');
});
