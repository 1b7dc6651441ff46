import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../../fuse/errno.ts';
import { FuseError } from '../../../fuse/errors.ts';
import { Session } from '../../../fuse/session.ts';
import type { Attributes, DirectoryEntry } from '../../../fuse/tree.ts';
import {
  Conversation,
  init,
  lookup,
  message,
  open,
  read,
  readdir,
  release,
  u32,
  u64,
  UNIQUE,
} from '../../support/fuse-messages.ts';
import { HELLO, MANY, MTIME, NODE, StaticTree } from '../../support/fuse-static-tree.ts';

describe('INIT', () => {
  it('agrees on the older minor and on listed flags only, with no readahead', () => {
    const talk = new Conversation();
    const { error, unique, payload } = talk.ask(init(7, 45));
    expect({ error, unique }).toEqual({ error: 0, unique: UNIQUE });
    expect(payload).toHaveLength(64);
    const [major, minor, readahead, flags] = [0, 4, 8, 12].map((at) => payload.readUInt32LE(at));
    expect({ major, minor, readahead, flags }).toEqual({
      major: 7,
      minor: 45,
      readahead: 0,
      flags: (1 << 13) | (1 << 14) | (1 << 18) | (1 << 22),
    });
    expect(payload.readUInt32LE(20), 'max_write').toBe(4096);
    expect(payload.readUInt16LE(28), 'max_pages').toBe(32);
    expect(payload.readUInt32LE(32), 'flags2').toBe(0);
    expect(talk.session.agreement).toEqual({ minor: 45, flags });
  });

  it.each([31, 36, 39])('follows a kernel that speaks 7.%i', (minor) => {
    const talk = new Conversation();
    expect(talk.ask(init(7, minor, 0)).payload.readUInt32LE(4)).toBe(minor);
    expect(talk.session.agreement).toEqual({ minor, flags: 0 });
  });

  it('asks a newer major version to step down, and then agrees', () => {
    const talk = new Conversation();
    expect(talk.ask(init(8, 0)).payload.readUInt32LE(0)).toBe(7);
    expect(talk.session.agreement).toBeUndefined();
    expect(talk.ask(init(7, 40)).error).toBe(0);
    expect(talk.session.agreement?.minor).toBe(40);
  });

  it.each([
    [7, 30],
    [6, 99],
  ])('refuses %i.%i and reports it', (major, minor) => {
    const talk = new Conversation();
    expect(talk.ask(init(major, minor)).error).toBeLessThan(0);
    expect(talk.faults).toEqual([expect.objectContaining({ code: 'protocol-unsupported' })]);
    expect(talk.faults[0]).toBeInstanceOf(FuseError);
    expect(talk.session.agreement).toBeUndefined();
  });

  it('happens once', () => {
    const talk = new Conversation();
    talk.ask(init(7, 40));
    expect(talk.ask(init(7, 31)).error).toBe(ERRNO.EINVAL);
    expect(talk.session.agreement?.minor).toBe(40);
  });
});

describe('names, attributes and links', () => {
  it('answers a lookup with an entry that the kernel may not keep', () => {
    const { payload, unique } = new Conversation().ask(lookup(NODE.root, 'hello'));
    expect(unique).toBe(UNIQUE);
    expect(payload).toHaveLength(128);
    expect(
      [0, 8, 16, 24].map((at) => payload.readBigUInt64LE(at)),
      'node, generation, validities',
    ).toEqual([2n, 0n, 0n, 0n]);
    expect(payload.readBigUInt64LE(40 + 8), 'size').toBe(BigInt(HELLO.length));
    expect(payload.readBigUInt64LE(40 + 32), 'mtime').toBe(BigInt(MTIME));
    expect(payload.readUInt32LE(40 + 60), 'mode').toBe(0o100444);
  });

  it('carries node ids above 2^32 both ways', () => {
    const node = 2 ** 51 + 5;
    const tree = new StaticTree();
    tree.attributes = (asked) => ({
      node: asked,
      kind: 'file',
      size: 2 ** 40,
      mode: 0o400,
      uid: 1,
      gid: 2,
      mtime: 0,
    });
    const { payload } = new Conversation(tree).ask(message(3, node, u32(0, 0), u64(0)));
    expect(payload).toHaveLength(104);
    expect(payload.readBigUInt64LE(16)).toBe(BigInt(node));
    expect(payload.readBigUInt64LE(24)).toBe(2n ** 40n);
  });

  it.each([
    ['without an end', message(1, 1, Buffer.from('hello')), ERRNO.EINVAL],
    ['empty', lookup(1, ''), ERRNO.EINVAL],
    ['missing', message(1, 1), ERRNO.EINVAL],
    ['of 256 bytes', lookup(1, 'x'.repeat(256)), ERRNO.ENAMETOOLONG],
    ['of 255 bytes', lookup(1, 'x'.repeat(255)), ERRNO.ENOENT],
    ['that is not UTF-8', lookup(1, Buffer.from([0xff, 0xfe])), ERRNO.ENOENT],
    ['half a character', lookup(1, Buffer.from('é').subarray(0, 1)), ERRNO.ENOENT],
  ])('refuses a name %s', (_, bytes, errno) => {
    expect(new Conversation().ask(bytes)).toMatchObject({ error: errno, payload: Buffer.alloc(0) });
  });

  it('reads a link, and refuses one that is too long', () => {
    const tree = new StaticTree();
    const talk = new Conversation(tree);
    expect(talk.ask(message(5, NODE.link)).payload.toString()).toBe('hello');
    tree.readlink = () => 'x'.repeat(4096);
    expect(talk.ask(message(5, NODE.link)).error).toBe(ERRNO.ENAMETOOLONG);
  });

  it('tells the tree who asks', () => {
    const tree = new StaticTree();
    const callers: unknown[] = [];
    tree.lookup = (_parent, _name, caller?: unknown) => {
      callers.push({ ...(caller as object) });
      return ERRNO.ENOENT;
    };
    new Conversation(tree).ask(lookup(1, 'x'));
    expect(callers).toEqual([{ uid: 1000, gid: 1001, tid: 4242, request: 1 }]);
  });
});

describe('files', () => {
  it('opens for direct I/O, reads, and leaves nothing in the reply buffer', () => {
    const talk = new Conversation();
    const { payload } = talk.ask(open(NODE.hello));
    expect(payload.readUInt32LE(8) & 1, 'FOPEN_DIRECT_IO').toBe(1);
    const handle = payload.readBigUInt64LE(0);
    expect(talk.ask(read(NODE.hello, handle, 0, 4096)).payload).toEqual(HELLO);
    expect(talk.isWiped()).toBe(true);
    expect(talk.ask(read(NODE.hello, handle, 7, 5)).payload.toString()).toBe('world');
    expect(talk.ask(read(NODE.hello, handle, HELLO.length, 4096)).payload).toHaveLength(0);
  });

  it('never reads more than the reply buffer holds', () => {
    expect(new Conversation().ask(read(NODE.big, NODE.big, 0, 0xffff_ffff)).payload).toHaveLength(131072);
  });

  it('wipes what a tree copied before it refused, or threw', () => {
    const tree = new StaticTree(() => true);
    const talk = new Conversation(tree);
    expect(talk.ask(read(NODE.big, NODE.big, 0, 4096))).toMatchObject({
      error: ERRNO.EACCES,
      payload: Buffer.alloc(0),
    });
    expect(talk.isWiped()).toBe(true);
    tree.read = (_node, _handle, _offset, into) => {
      into.fill(0x73);
      throw new Error('broken');
    };
    expect(talk.ask(read(NODE.big, NODE.big, 0, 4096)).error).toBe(ERRNO.EACCES);
    expect(talk.isWiped()).toBe(true);
  });

  it('wipes even when the reply cannot be sent', () => {
    const talk = new Conversation();
    const session = new Session({
      tree: new StaticTree(),
      requestBuffer: read(NODE.hello, NODE.hello, 0, 4096),
      replyBuffer: talk.buffer,
      send: () => {
        throw new Error('device gone');
      },
      onFault: () => undefined,
    });
    expect(() => session.handle(80)).toThrow('device gone');
    expect(talk.isWiped()).toBe(true);
  });

  it.each([
    ['handle', 2n ** 53n, 0n],
    ['offset', 0n, 2n ** 53n],
    ['negative offset', 0n, 2n ** 64n - 1n],
  ])('refuses a %s that is no safe integer', (_, handle, offset) => {
    expect(new Conversation().ask(read(NODE.hello, handle, offset, 16)).error).toBe(ERRNO.EINVAL);
    expect(new Conversation().ask(readdir(NODE.root, handle, offset, 16)).error).toBeLessThan(0);
  });

  it.each([
    ['O_WRONLY', 1],
    ['O_RDWR', 2],
    ['O_TRUNC', 0o1000],
  ])('refuses to open with %s', (_, flags) => {
    const tree = new StaticTree();
    expect(new Conversation(tree).ask(open(NODE.hello, flags)).error).toBe(ERRNO.EROFS);
    expect(tree.opened.size).toBe(0);
  });

  it('hands every release to the tree', () => {
    const tree = new StaticTree();
    const talk = new Conversation(tree);
    talk.ask(open(NODE.hello));
    expect(tree.opened.size).toBe(1);
    expect(talk.ask(release(NODE.hello, NODE.hello)).error).toBe(0);
    expect(tree.opened.size).toBe(0);
  });

  it('takes back what nobody waited for: a handle, a lookup', () => {
    const tree = new StaticTree();
    const talk = new Conversation(tree);
    talk.delivers = false;
    talk.ask(open(NODE.hello));
    talk.ask(lookup(NODE.root, 'hello'));
    talk.ask(message(14, NODE.hello));
    expect({ opened: tree.opened.size, lookups: tree.lookups }).toEqual({ opened: 0, lookups: 0 });
  });

  it('answers ACCESS by the attributes, and never grants writing', () => {
    const talk = new Conversation();
    expect(talk.ask(message(34, NODE.hello, u32(4, 0))).error).toBe(0);
    expect(talk.ask(message(34, NODE.hello, u32(2, 0))).error).toBe(ERRNO.EROFS);
    expect(talk.ask(message(34, 999, u32(4, 0))).error).toBe(ERRNO.ENOENT);
  });
});

describe('directories', () => {
  function page(talk: Conversation, node: number, offset: bigint, size: number) {
    const { payload } = talk.ask(readdir(node, 0, offset, size));
    expect(payload.length).toBeLessThanOrEqual(size);
    const found: { name: string; next: bigint; type: number }[] = [];
    for (let at = 0; at < payload.length;) {
      const length = payload.readUInt32LE(at + 16);
      const name = payload.toString('utf8', at + 24, at + 24 + length);
      found.push({ name, next: payload.readBigUInt64LE(at + 8), type: payload.readUInt32LE(at + 20) });
      at += Math.ceil((24 + length) / 8) * 8;
    }
    return found;
  }

  it.each([40, 100, 4096])('pages through 300 entries in buffers of %i bytes', (size) => {
    const talk = new Conversation();
    const names: string[] = [];
    for (let offset = 0n, round = 0; round <= 303; round += 1) {
      const entries = page(talk, NODE.many, offset, size);
      if (entries.length === 0) break;
      names.push(...entries.map(({ name }) => name));
      offset = entries.at(-1)!.next;
    }
    expect(names.slice(0, 2)).toEqual(['.', '..']);
    expect(names.slice(2).sort()).toEqual(MANY);
  });

  it('keeps offsets stable while the directory changes: what stays is neither skipped nor repeated', () => {
    const tree = new StaticTree();
    const talk = new Conversation(tree);
    const all = tree.entries(NODE.many) as readonly DirectoryEntry[];
    const half = page(talk, NODE.many, 0n, 4000);
    const seen = half.map(({ name }) => name).filter((name) => !name.startsWith('.'));
    expect(seen.length).toBeGreaterThan(50);
    const gone = new Set([...seen.slice(0, 20), 'entry-299']);
    const added = Array.from({ length: 40 }, (_, i) => ({
      node: 9000 + i,
      name: `new-${i}`,
      kind: 'file' as const,
    }));
    tree.entries = () => [...added, ...all.filter(({ name }) => !gone.has(name))];
    const rest: string[] = [];
    for (let offset = half.at(-1)!.next; ;) {
      const entries = page(talk, NODE.many, offset, 1000);
      if (entries.length === 0) break;
      rest.push(...entries.map(({ name }) => name));
      offset = entries.at(-1)!.next;
    }
    const stayed = MANY.filter((name) => !gone.has(name));
    expect(
      [...seen.filter((name) => !gone.has(name)), ...rest.filter((name) => name.startsWith('entry'))].sort(),
    ).toEqual(stayed);
    expect(new Set(rest).size).toBe(rest.length);
  });

  it('gives names with one hash offsets of their own', () => {
    // FNV-1a of these two is equal.
    const tree = new StaticTree();
    tree.entries = () =>
      ['costarring', 'liquid'].map((name, i) => ({ node: 10 + i, name, kind: 'file' as const }));
    const talk = new Conversation(tree);
    const entries = page(talk, NODE.root, 2n, 4096);
    expect(entries.map(({ name }) => name)).toEqual(['costarring', 'liquid']);
    expect(entries[1]!.next - entries[0]!.next).toBe(1n);
    expect(page(talk, NODE.root, entries[0]!.next, 4096).map(({ name }) => name)).toEqual(['liquid']);
    expect(entries.every(({ next }) => next < 2n ** 31n)).toBe(true);
  });

  it('tells kinds apart', () => {
    const talk = new Conversation();
    const types = page(talk, NODE.root, 0n, 4096).map(({ name, type }) => [name, type]);
    expect(Object.fromEntries(types)).toEqual({ '.': 4, '..': 4, hello: 8, big: 8, link: 10, many: 4 });
  });

  it('refuses a buffer too small for one entry', () => {
    expect(new Conversation().ask(readdir(NODE.many, 0, 0, 16)).error).toBe(ERRNO.EINVAL);
  });

  it('keeps nothing for whoever has one open, and bounds how large one is', () => {
    const tree = new StaticTree();
    const talk = new Conversation(tree);
    expect(talk.ask(message(27, NODE.root, u32(0, 0))).payload.readBigUInt64LE(0)).toBe(0n);
    expect(talk.ask(message(29, NODE.root, u64(0), u32(0, 0), u64(0))).error).toBe(0);
    tree.entries = () =>
      Array.from({ length: 65_537 }, (_, index) => ({ node: 2, name: `n${index}`, kind: 'file' as const }));
    expect(talk.ask(readdir(NODE.root, 0, 0, 4096)).error).toBe(ERRNO.EOVERFLOW);
  });

  it('READDIRPLUS brings what lasts, counted as looked up, and leaves the rest to be asked for', () => {
    const tree = new StaticTree();
    const lookup = tree.lookup.bind(tree);
    tree.lookup = (parent, name) => {
      const found = lookup(parent, name);
      return typeof found === 'number' ? found : { ...found, lasting: name !== 'link' };
    };
    const talk = new Conversation(tree);
    const { payload } = talk.ask(message(44, NODE.root, u64(0, 2), u32(4096, 0), u64(0), u32(0, 0)));
    const found: Record<string, number[]> = {};
    for (let at = 0; at < payload.length;) {
      const length = payload.readUInt32LE(at + 128 + 16);
      const name = payload.toString('utf8', at + 128 + 24, at + 128 + 24 + length);
      found[name] = [
        Number(payload.readBigUInt64LE(at)),
        payload.readUInt32LE(at + 16),
        payload.readUInt32LE(at + 128),
      ];
      at += 128 + Math.ceil((24 + length) / 8) * 8;
    }
    expect(found).toEqual({
      hello: [NODE.hello, 3600, NODE.hello],
      big: [NODE.big, 3600, NODE.big],
      many: [NODE.many, 3600, NODE.many],
      link: [0, 0, NODE.link],
    });
    expect(tree.lookups).toBe(3);
    talk.delivers = false;
    talk.ask(message(44, NODE.root, u64(0, 2), u32(4096, 0), u64(0), u32(0, 0)));
    expect(tree.lookups, 'given back when nobody got them').toBe(3);
  });

  it.each(['', 'a/b', 'a\0b', 'x'.repeat(256)])(
    'treats the entry name %j as the fault of the tree',
    (name) => {
      const tree = new StaticTree();
      tree.entries = () => [{ node: 2, name, kind: 'file' }];
      const talk = new Conversation(tree);
      expect(talk.ask(readdir(NODE.root, 0, 0, 4096)).error).toBe(ERRNO.EACCES);
      expect(talk.faults).toHaveLength(1);
    },
  );
});

describe('what is not served', () => {
  it.each([4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51])(
    'write operation %i is EROFS',
    (opcode) => {
      expect(new Conversation().ask(message(opcode, 1, Buffer.alloc(88))).error).toBe(ERRNO.EROFS);
    },
  );

  it.each([31, 33, 37, 39, 46, 48, 50, 999, 0xffff_ffff])('operation %i is ENOSYS', (opcode) => {
    expect(new Conversation().ask(message(opcode, 1, Buffer.alloc(64))).error).toBe(ERRNO.ENOSYS);
  });

  it('gives no reply to FORGET, BATCH_FORGET and INTERRUPT, however broken', () => {
    const tree = new StaticTree();
    tree.lookups = 6;
    const talk = new Conversation(tree);
    const replies = [
      message(2, NODE.hello, u64(1)),
      message(42, 0, u32(2, 0), u64(NODE.hello, 2, NODE.big, 3)),
      message(42, 0, u32(9, 0), u64(NODE.hello, 2)),
      message(42, 0),
      message(2, NODE.hello),
      message(36, 0, u64(UNIQUE)),
      message(36, 0),
    ].flatMap((bytes) => talk.say(bytes));
    expect(replies).toEqual([]);
    expect(tree.lookups).toBe(0);
  });
});

describe('extended attributes', () => {
  const tree = new StaticTree();
  Object.assign(tree, {
    xattrs: () =>
      new Map([
        ['user.lapse.version', '3'],
        ['user.x', 'é'],
      ]),
  });
  const get = (name: string, size: number) =>
    new Conversation(tree).ask(message(22, NODE.hello, u32(size, 0), Buffer.from(`${name}\0`)));
  const list = (size: number) => new Conversation(tree).ask(message(23, NODE.hello, u32(size, 0)));

  it('gives a value, its length, and ERANGE when there is too little room', () => {
    expect(get('user.lapse.version', 16).payload.toString()).toBe('3');
    expect(get('user.x', 0).payload).toEqual(u32(2, 0));
    expect(get('user.x', 1).error).toBe(ERRNO.ERANGE);
    expect(get('user.y', 16).error).toBe(ERRNO.ENODATA);
  });

  it('lists names', () => {
    expect(list(100).payload.toString()).toBe('user.lapse.version\0user.x\0');
    expect(list(0).payload).toEqual(u32(26, 0));
    expect(list(25).error).toBe(ERRNO.ERANGE);
  });

  it('has none where the tree knows none', () => {
    const talk = new Conversation();
    expect(talk.ask(message(22, NODE.hello, u32(16, 0), Buffer.from('user.x\0'))).error).toBe(ERRNO.ENODATA);
    expect(talk.ask(message(23, NODE.hello, u32(16, 0))).payload).toHaveLength(0);
  });
});

describe('statx and poll', () => {
  it('STATX tells what GETATTR tells', () => {
    const { payload } = new Conversation().ask(message(52, NODE.hello, u32(0, 0), u64(0), u32(0, 0xfff)));
    expect(payload).toHaveLength(288);
    const at = 32;
    expect(payload.readUInt32LE(at), 'mask').toBe(0x7ff);
    expect(payload.readUInt32LE(at + 16), 'nlink').toBe(1);
    expect(payload.readUInt16LE(at + 28), 'mode').toBe(0o100444);
    expect(Number(payload.readBigUInt64LE(at + 32)), 'ino').toBe(NODE.hello);
    expect(Number(payload.readBigUInt64LE(at + 40)), 'size').toBe(HELLO.length);
    expect(Number(payload.readBigInt64LE(at + 112)), 'mtime').toBe(MTIME);
  });

  it('a file can be read without waiting', () => {
    expect(
      new Conversation().ask(message(40, NODE.hello, u64(0, 0), u32(0, 0))).payload.readUInt32LE(0),
    ).toBe(0x41);
  });
});

describe("the server's own requests", () => {
  /** The messages come from thread 4242; this process' own first thread has its number. */
  const mine = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(process.pid, 32);
    return copy;
  };
  const name = (text: string) => Buffer.from(`${text}\0`);
  const requests = {
    create: message(35, NODE.root, u32(0o102, 0, 0, 0), name('fresh')),
    remove: message(10, NODE.root, name('hello')),
    rename: message(12, NODE.root, u64(NODE.root), name('a'), name('b')),
    rename2: message(45, NODE.root, u64(NODE.root), u32(0, 0), name('a'), name('b')),
    truncate: message(4, NODE.hello, Buffer.alloc(88)),
    openToWrite: open(NODE.hello, 2),
  };

  function own() {
    const calls: unknown[][] = [];
    const tree = new StaticTree();
    const file = tree.attributes(NODE.hello) as Attributes;
    Object.assign(tree, {
      own: {
        create: (...words: unknown[]) => (calls.push(['create', ...words]), file),
        remove: (...words: unknown[]) => (calls.push(['remove', ...words]), 0),
        rename: (...words: unknown[]) => (calls.push(['rename', ...words]), 0),
      },
    });
    return { tree, calls, talk: new Conversation(tree) };
  }

  it('reach the tree', () => {
    const { calls, talk } = own();
    for (const bytes of Object.values(requests)) expect(talk.ask(mine(bytes)).error).toBe(0);
    expect(calls).toEqual([
      ['create', NODE.root, 'fresh'],
      ['remove', NODE.root, 'hello'],
      ['rename', NODE.root, 'a', 'b'],
      ['rename', NODE.root, 'a', 'b'],
    ]);
  });

  it.each(Object.entries(requests))('%s by anybody else is EROFS', (_, bytes) => {
    const { calls, talk } = own();
    expect(talk.ask(bytes).error).toBe(ERRNO.EROFS);
    expect(calls).toEqual([]);
  });

  it('a descriptor for writing reads nothing, and its release is not the tree’s', () => {
    const { tree, talk } = own();
    const handle = talk.ask(mine(requests.openToWrite)).payload.readBigUInt64LE(0);
    expect(talk.ask(mine(read(NODE.hello, handle, 0, 16))).error).toBe(ERRNO.EBADF);
    tree.opened.add(NODE.hello);
    talk.ask(release(NODE.hello, Number(handle)));
    expect(tree.opened.size).toBe(1);
  });

  it('renames within one directory only, and needs both names', () => {
    const { calls, talk } = own();
    expect(talk.ask(mine(message(12, NODE.root, u64(NODE.many), name('a'), name('b')))).error).toBe(
      ERRNO.EROFS,
    );
    expect(talk.ask(mine(message(12, NODE.root, u64(NODE.root), name('a')))).error).toBe(ERRNO.EINVAL);
    expect(talk.ask(mine(message(12, NODE.root, u64(NODE.root), Buffer.from('a')))).error).toBe(ERRNO.EINVAL);
    expect(calls).toEqual([]);
  });
});

describe('failing closed', () => {
  const requests: readonly [keyof StaticTree, Buffer][] = [
    ['lookup', lookup(1, 'hello')],
    ['attributes', message(3, 1, u32(0, 0), u64(0))],
    ['readlink', message(5, NODE.link)],
    ['entries', message(27, 1, u32(0, 0))],
    ['open', open(NODE.hello)],
    ['read', read(NODE.hello, 0, 0, 16)],
  ];

  it.each(requests)('a tree whose %s throws is EACCES and reported', (method, bytes) => {
    const broken = new Error('broken');
    const tree = new StaticTree();
    Object.assign(tree, {
      [method]: () => {
        throw broken;
      },
    });
    const talk = new Conversation(tree);
    expect(talk.ask(bytes).error).toBe(ERRNO.EACCES);
    expect(talk.faults).toEqual([broken]);
    expect(talk.isWiped()).toBe(true);
  });

  it.each(requests)('a tree whose %s answers ENOSYS or nonsense is EACCES', (method, bytes) => {
    for (const nonsense of [ERRNO.ENOSYS, -512, -1.5, Number.NaN]) {
      const tree = new StaticTree();
      Object.assign(tree, { [method]: () => nonsense });
      expect(new Conversation(tree).ask(bytes).error).toBe(ERRNO.EACCES);
    }
  });

  it('a tree that counts more than it was lent is EACCES and reported', () => {
    const tree = new StaticTree();
    tree.read = () => 17;
    const talk = new Conversation(tree);
    expect(talk.ask(read(NODE.hello, 0, 0, 16)).error).toBe(ERRNO.EACCES);
    expect(talk.faults).toHaveLength(1);
  });

  it('answers a message whose length is wrong with EINVAL', () => {
    const whole = read(NODE.hello, 0, 0, 16);
    const talk = new Conversation();
    for (let length = 40; length < whole.length; length += 1) {
      expect(talk.ask(whole.subarray(0, length)).error, `truncated to ${length}`).toBe(ERRNO.EINVAL);
    }
    expect(talk.ask(Buffer.concat([whole, Buffer.alloc(1)])).error, 'oversized').toBe(ERRNO.EINVAL);
  });

  it('says nothing to less than a header', () => {
    const talk = new Conversation();
    for (let length = 0; length < 40; length += 1)
      expect(talk.say(open(NODE.hello).subarray(0, length))).toEqual([]);
  });

  it('refuses node ids from 2^52 on', () => {
    expect(new Conversation().ask(message(3, 2n ** 52n, u32(0, 0), u64(0))).error).toBe(ERRNO.EINVAL);
  });
});

describe('random bytes', () => {
  const expectSane = (talk: Conversation, bytes: Uint8Array) => {
    const answers = talk.say(bytes);
    expect(answers.length).toBeLessThanOrEqual(1);
    for (const { error } of answers) expect(error > -512 && error <= 0).toBe(true);
    expect(talk.faults).toEqual([]);
  };

  it('never throw, and get one reply or none', () => {
    const talk = new Conversation();
    talk.ask(init(7, 40));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => expectSane(talk, bytes)),
      { numRuns: 2000 },
    );
    expect(talk.isWiped()).toBe(true);
  });

  it('behind a valid header neither', () => {
    const talk = new Conversation();
    talk.ask(init(7, 40));
    const request = fc.tuple(
      fc.integer({ min: 0, max: 60 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.uint8Array({ maxLength: 200 }),
    );
    const property = fc.property(request, ([opcode, node, body]) =>
      expectSane(talk, message(opcode, node, Buffer.from(body))),
    );
    fc.assert(property, { numRuns: 5000 });
    expect(talk.isWiped()).toBe(true);
  });
});
