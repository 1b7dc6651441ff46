// The tree without a mount: two workloads, callers that are none, and everything that may go wrong between an open
// and a read.
import { describe, expect, test } from 'vitest';
import { layOut } from '../../../daemon/layout.ts';
import { Leases } from '../../../daemon/leases.ts';
import {
  NODE,
  dataNode,
  fileNode,
  generationNode,
  nameNode,
  viewNode,
  volumeNode,
} from '../../../daemon/node-id.ts';
import type { Table } from '../../../daemon/table.ts';
import { SecretFiles } from '../../../daemon/tree/secret-file.ts';
import { SecretTree } from '../../../daemon/tree/secret-tree.ts';
import { generationOf } from '../../../daemon/tree/volume.ts';
import { ERRNO } from '../../../fuse/errno.ts';
import type { Caller } from '../../../fuse/tree.ts';
import { parseFileName } from '../../../manifest/names.ts';
import type { TargetPath } from '../../../manifest/names.ts';
import { API, PLACE, WEB, grant, registered, secret, settled } from './secrets.ts';
import { VaultParts, sealed } from './vault-parts.ts';

const { ENOENT, EACCES, EINVAL } = ERRNO;
/** Callers, by thread id. */
let requests = 0;
const [web, api, stranger] = [1, 2, 3].map((tid) => ({
  ...{ tid, uid: 0, gid: 0, own: false },
  get request() {
    return ++requests;
  },
})) as [Caller, Caller, Caller];

const VALUE = Buffer.from('the value of db');
const VIEW = viewNode(WEB);
const FILE = fileNode(WEB, 'payments/db@1' as TargetPath);

/** `web` has `db`; `api` is registered and has nothing. */
function start() {
  let now = 0;
  const parts = new VaultParts();
  const { slot, generation, size } = parts.load(sealed(VALUE));
  const leases = new Leases(() => now);
  const renew = (ms: number): void => leases.renew(now, ms, PLACE);
  renew(1000);
  const groups = new Map([
    [web.tid, WEB],
    [api.tid, API],
  ]);
  const tree = new SecretTree(({ tid }) => groups.get(tid), new SecretFiles(parts.opener, leases));
  const loaded = new Map([['payments/db@1' as TargetPath, { slot, generation, size, since: 7 }]]);
  const table = (...of: Parameters<typeof secret>): Table =>
    layOut([secret(...of)], loaded, registered('web', 'api'), () => PLACE).table;
  tree.show(settled(table()));
  const into = Buffer.alloc(64);
  return {
    ...{ parts, slot, tree, leases, renew, into, table },
    pass: (ms: number) => (now += ms),
    read: (handle: number, caller = web, offset = 0) => {
      const count = tree.read(FILE, handle, offset, into, caller);
      return count < 0 ? count : into.toString('latin1', 0, count);
    },
  };
}

describe('names', () => {
  const { tree } = start();
  const node = (parent: number, name: string, caller: Caller): number => {
    const answer = tree.lookup(parent, name, caller);
    return typeof answer === 'number' ? answer : answer.node;
  };

  test.for<[string, Caller, { self: number; own: number; other: number; file: number }]>([
    ['web', web, { self: NODE.self, own: VIEW, other: ENOENT, file: FILE }],
    ['api', api, { self: NODE.self, own: ENOENT, other: viewNode(API), file: ENOENT }],
    ['a stranger', stranger, { self: ENOENT, own: EACCES, other: EACCES, file: EACCES }],
  ])('as %s finds them', ([, caller, { self, own, other, file }]) => {
    expect(node(NODE.root, 'self', caller)).toBe(self);
    expect(node(NODE.root, 'w', caller)).toBe(NODE.views);
    expect(node(NODE.views, 'web', caller)).toBe(own);
    expect(node(NODE.views, 'api', caller)).toBe(other);
    expect(node(VIEW, 'db', caller)).toBe(file);
  });

  test('that are not there', () => {
    expect(node(NODE.root, 'x', web)).toBe(ENOENT);
    expect(node(VIEW, 'x', web)).toBe(ENOENT);
    expect(node(NODE.views, 'nobody', web)).toBe(ENOENT);
    expect(node(NODE.views, 'nobody', stranger)).toBe(EACCES);
    expect(node(999_999, 'db', web)).toBe(ENOENT);
    expect(node(FILE, 'db', web)).toBe(ENOENT);
  });

  test('self leads to the caller’s own view, as long as it has one', () => {
    expect([web, api, stranger].map((caller) => tree.readlink(NODE.self, caller))).toEqual([
      'w/web',
      'w/api',
      ENOENT,
    ]);
    expect(tree.attributes(NODE.self, web)).toMatchObject({ kind: 'symlink', size: 5 });
    expect(tree.attributes(NODE.self, stranger)).toBe(ENOENT);
    expect(tree.readlink(FILE, web)).toBe(EINVAL);
  });

  test('listings show the caller’s own and nothing else', () => {
    const names = (of: number, caller: Caller): unknown => {
      const entries = tree.entries(of, caller);
      return typeof entries === 'number' ? entries : entries.map(({ name }) => name);
    };
    expect([web, api, stranger].map((caller) => names(NODE.root, caller))).toEqual([
      ['self', 'volume', 'w', 'v'],
      ['self', 'volume', 'w', 'v'],
      ['w', 'v'],
    ]);
    expect([web, api, stranger].map((caller) => names(NODE.views, caller))).toEqual([['web'], ['api'], []]);
    expect([web, api, stranger].map((caller) => names(VIEW, caller))).toEqual([['db'], EACCES, EACCES]);
    expect(names(FILE, web)).toBe(ENOENT);
  });

  test('attributes tell nobody else a size', () => {
    const seen = {
      node: FILE,
      kind: 'file',
      size: VALUE.length,
      mode: 0o440,
      uid: 1000,
      gid: 1001,
      mtime: 7,
      lasting: true,
    };
    expect(tree.attributes(FILE, web)).toEqual(seen);
    expect(tree.lookup(VIEW, 'db', web)).toEqual(seen);
    expect([api, stranger].map((caller) => tree.attributes(FILE, caller))).toEqual([EACCES, EACCES]);
    expect([web, api, stranger].map((caller) => typeof tree.attributes(VIEW, caller))).toEqual([
      'object',
      'number',
      'number',
    ]);
  });
});

describe('reading', () => {
  test('its own file, whole and in parts', () => {
    const { tree, read } = start();
    const handle = tree.open(FILE, web);
    expect(handle).toBeGreaterThanOrEqual(0);
    expect(read(handle)).toBe('the value of db');
    expect(read(handle, web, 13)).toBe('db');
    expect(read(handle, web, 15)).toBe('');
  });

  test('nobody else, even with the handle of who may', () => {
    const { tree, read, into } = start();
    const handle = tree.open(FILE, web);
    expect([api, stranger].map((caller) => tree.open(FILE, caller))).toEqual([EACCES, EACCES]);
    expect([api, stranger].map((caller) => read(handle, caller))).toEqual([EACCES, EACCES]);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });

  test('the node decides: what an earlier server opened reads on, what is no file never does', () => {
    const { tree, read, into } = start();
    const handle = tree.open(FILE, web);
    expect(read(handle)).toBe('the value of db');
    expect(read(12_345), 'a handle of another server').toBe('the value of db');
    expect(tree.read(VIEW, handle, 0, into, web)).toBe(EACCES);
    expect([NODE.root, NODE.self, VIEW, 999_999].map((node) => tree.open(node, web))).toEqual([
      EACCES,
      EACCES,
      EACCES,
      EACCES,
    ]);
  });

  test('the lease is over: names stay, open and read are refused, and it is all back with the lease', () => {
    const { tree, read, renew, pass } = start();
    const handle = tree.open(FILE, web);
    pass(1000);
    expect([tree.open(FILE, web), read(handle)]).toEqual([EACCES, EACCES]);
    expect(tree.lookup(VIEW, 'db', web)).toMatchObject({ node: FILE });
    expect(tree.readlink(NODE.self, web)).toBe('w/web');
    renew(1000);
    expect(read(handle)).toBe('the value of db');
  });

  test('the lease is over, and the secret is served when stale: open and read go on, until it is denied', () => {
    const { tree, read, leases, table, pass } = start();
    tree.show(settled(table({ whenStale: 'serve' })));
    pass(5000);
    const handle = tree.open(FILE, web);
    expect(read(handle)).toBe('the value of db');
    leases.lapse([PLACE]);
    expect([tree.open(FILE, web), read(handle)]).toEqual([EACCES, EACCES]);
  });

  test('revoked in the vault alone: the handle is dead before the table says so', () => {
    const { tree, read, parts, slot } = start();
    const handle = tree.open(FILE, web);
    parts.vault.revoke(slot);
    expect([tree.open(FILE, web), read(handle)]).toEqual([EACCES, EACCES]);
  });

  test('gone from the table: name ENOENT, handle EACCES', () => {
    const { tree, read, table } = start();
    const handle = tree.open(FILE, web);
    tree.show(settled(table({ tombstone: true })));
    expect(tree.lookup(VIEW, 'db', web)).toBe(ENOENT);
    expect([tree.open(FILE, web), read(handle), tree.attributes(FILE, web)]).toEqual([
      EACCES,
      EACCES,
      EACCES,
    ]);
  });

  test('superseded: the handle lives on, the name does not lead there', () => {
    const { tree, read, table } = start();
    const handle = tree.open(FILE, web);
    const shown = table();
    tree.show(settled({ ...shown, files: shown.files.map((file) => ({ ...file, named: false })) }));
    expect(tree.lookup(VIEW, 'db', web)).toBe(ENOENT);
    expect(read(handle)).toBe('the value of db');
    expect(tree.attributes(FILE, web)).toMatchObject({ size: VALUE.length });
  });

  test('the grant is gone to another: the old reader’s handle is dead', () => {
    const { tree, read, table } = start();
    const handle = tree.open(FILE, web);
    tree.show(settled(table({ grants: [grant('api')] })));
    expect(read(handle)).toBe(EACCES);
    expect(tree.open(fileNode(API, 'payments/db@1' as TargetPath), api)).toBeGreaterThanOrEqual(0);
  });

  test('the slot has another occupant: the old handle reads nothing of it', () => {
    const { tree, read, parts, slot } = start();
    const handle = tree.open(FILE, web);
    parts.vault.revoke(slot);
    parts.vault.reclaim(slot);
    expect(parts.load(sealed(Buffer.from('next'))).slot).toBe(slot);
    expect(read(handle)).toBe(EACCES);
    tree.release(FILE, handle);
    expect(parts.slots.get(slot, 'opens')).toBe(0);
  });
});

describe('releasing', () => {
  test('a handle of an earlier server, or of an earlier occupant, takes nothing from the count', () => {
    const { tree, parts, slot } = start();
    const handle = tree.open(FILE, web);
    for (const other of [12_345, handle + 1, handle - 1]) tree.release(FILE, other);
    expect(parts.slots.get(slot, 'opens')).toBe(1);
    tree.release(FILE, handle);
    expect(parts.slots.get(slot, 'opens')).toBe(0);
  });

  test('a million opens and releases leave no more than none', () => {
    const { tree, parts, slot } = start();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 1_000_000; i++) tree.release(FILE, tree.open(FILE, web));
    expect(parts.slots.get(slot, 'opens')).toBe(0);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 << 20);
  });

  test('refused opens count for nothing', () => {
    const { tree, parts, slot, pass } = start();
    pass(1000);
    for (const caller of [web, api, stranger]) tree.open(FILE, caller);
    expect(parts.slots.get(slot, 'opens')).toBe(0);
  });
});

test('before the first table everything is refused, and nothing absent', () => {
  const { parts, leases } = start();
  const tree = new SecretTree(() => WEB, new SecretFiles(parts.opener, leases));
  const asked = [tree.lookup(NODE.views, 'web', web), tree.lookup(VIEW, 'db', web), tree.open(FILE, web)];
  expect(asked).toEqual([EACCES, EACCES, EACCES]);
});

describe('until everything is loaded', () => {
  const { tree, read, table } = start();
  tree.show({ ...settled(table()), settled: false });

  test('what is there is found and read, what is not is refused', () => {
    expect(tree.lookup(VIEW, 'db', web)).toMatchObject({ node: FILE });
    expect(read(tree.open(FILE, web))).toBe('the value of db');
    expect(tree.lookup(VIEW, 'key', web)).toBe(EACCES);
    expect(tree.entries(VIEW, web)).toBe(EACCES);
  });

  test('of a volume nothing is there, so that it never switches file by file', () => {
    const generation = generationNode(WEB, generationOf(table().files));
    const parents = [NODE.volumes, volumeNode(WEB), volumeNode(WEB), generation];
    const names = ['web', '..data', 'db', 'db'];
    expect(parents.map((parent, i) => tree.lookup(parent, names[i]!, web))).toEqual(
      parents.map(() => EACCES),
    );
    const nodes = [volumeNode(WEB), dataNode(WEB), nameNode(WEB, parseFileName('db')), generation];
    expect(nodes.map((node) => tree.attributes(node, web))).toEqual(nodes.map(() => EACCES));
    expect(nodes.map((node) => tree.readlink(node, web))).toEqual(nodes.map(() => EACCES));
    expect(nodes.map((node) => tree.entries(node, web))).toEqual(nodes.map(() => EACCES));
    tree.show(settled(table()));
    expect(tree.lookup(generation, 'db', web)).toMatchObject({ node: FILE });
  });
});
