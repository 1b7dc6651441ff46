// What the kernel really sends, whole and damaged in every place: never a crash, never two answers, and never anything
// but clean values for the tree.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../../fuse/errno.ts';
import type { Attributes, Caller, DirectoryEntry, NodeId, Tree } from '../../../fuse/tree.ts';
import { Conversation, init, message, u64 } from '../../support/fuse-messages.ts';

const { requests } = JSON.parse(
  readFileSync(new URL('../../vectors/fuse-requests.json', import.meta.url), 'utf8'),
) as { requests: { operation: string; message: string }[] };
const CORPUS = requests.map(({ operation, message: hex }) => [operation, Buffer.from(hex, 'hex')] as const);

const HEADER_BYTES = 40;
const OPERATION_AT = 4;
const SILENT: ReadonlySet<number> = new Set([2, 36, 41, 42]);
const INIT = 26;

/** Has everything, so that every answer is as long as it gets; and objects to what an engine must never hand to a tree. */
class WillingTree implements Tree {
  asked = 0;

  lookup(parent: NodeId, name: string, caller: Caller): Attributes {
    checkName(name);
    return this.attributes(parent, caller);
  }

  attributes(node: NodeId, caller: Caller): Attributes {
    this.#check(node, caller.uid, caller.gid, caller.tid);
    return { node, kind: 'file', size: 9, mode: 0o777, uid: 0, gid: 0, mtime: 1, lasting: true };
  }

  readlink(node: NodeId): string {
    this.#check(node);
    return 'target';
  }

  xattrs(node: NodeId): ReadonlyMap<string, string> {
    this.#check(node);
    return new Map([['user.version', '7']]);
  }

  entries(node: NodeId): readonly DirectoryEntry[] {
    this.#check(node);
    return ['a', 'b'.repeat(255)].map((name) => ({ node: 2, name, kind: 'file' }));
  }

  open(node: NodeId): number {
    this.#check(node);
    return 5;
  }

  read(node: NodeId, handle: number, offset: number, into: Uint8Array): number {
    this.#check(node, handle, offset);
    return into.fill(0x73).length;
  }

  release(node: NodeId, handle: number): void {
    this.#check(node, handle);
  }

  forget(node: NodeId, lookups: number): void {
    this.#check(node, lookups);
  }

  #check(...numbers: number[]): void {
    this.asked += 1;
    for (const number of numbers)
      if (!Number.isSafeInteger(number) || number < 0) throw new Error(`the number ${number}`);
  }
}

function checkName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length === 0 || length > 255 || name.includes('\0'))
    throw new Error(`the name ${JSON.stringify(name)}`);
}

function started(): { talk: Conversation; tree: WillingTree } {
  const tree = new WillingTree();
  const talk = new Conversation(tree);
  talk.ask(init(7, 45));
  return { talk, tree };
}

const silent = (bytes: Buffer) => SILENT.has(bytes.readUInt32LE(OPERATION_AT));

/** One well-formed answer to this very request, or the silence that is due. @returns its errno */
function hear(talk: Conversation, bytes: Buffer): number | undefined {
  const answers = talk.say(bytes);
  expect(talk.faults).toEqual([]);
  expect(answers).toHaveLength(bytes.length < HEADER_BYTES || silent(bytes) ? 0 : 1);
  const [answer] = answers;
  if (answer === undefined) return undefined;
  expect(answer.unique).toBe(bytes.readBigUInt64LE(8));
  expect(answer.error > -512 && answer.error <= 0).toBe(true);
  if (answer.error < 0) expect(answer.payload).toHaveLength(0);
  return answer.error;
}

/** With another length, and saying so. */
function cut(bytes: Buffer, length: number): Buffer {
  const shorter = Buffer.from(bytes.subarray(0, length));
  if (length >= 4) shorter.writeUInt32LE(length, 0);
  return shorter;
}

const WRITES = [
  ...['SETATTR', 'SYMLINK', 'MKNOD', 'MKDIR', 'UNLINK', 'RMDIR', 'RENAME', 'LINK', 'SETXATTR', 'REMOVEXATTR'],
  ...['CREATE', 'RENAME2', 'TMPFILE'],
];

const VALUES = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Every field of 32 bits at its extremes, each byte of the arguments at those that end or spoil a name. */
function* damaged(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= bytes.length; at += 4)
    for (const value of VALUES) {
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(value, at);
      yield copy;
    }
  for (let at = HEADER_BYTES; at < bytes.length; at += 1)
    for (const value of [0, 0x2f, 0xff]) {
      const copy = Buffer.from(bytes);
      copy[at] = value;
      yield copy;
    }
}

describe('recorded requests', () => {
  it('are of every kind that a read-only file system gets', () => {
    const kinds = new Set(CORPUS.map(([operation]) => operation));
    const reading = [
      'INIT',
      'LOOKUP',
      'FORGET',
      'BATCH_FORGET',
      'GETATTR',
      'STATX',
      'READLINK',
      'OPEN',
      'READ',
    ];
    const more = [
      'RELEASE',
      'OPENDIR',
      'READDIR',
      'READDIRPLUS',
      'RELEASEDIR',
      'STATFS',
      'ACCESS',
      'FSYNC',
      'POLL',
    ];
    const wanted = [...reading, ...more, 'GETXATTR', 'LISTXATTR', ...WRITES];
    expect(wanted.filter((kind) => !kinds.has(kind))).toEqual([]);
  });

  it('are all understood', () => {
    const { talk, tree } = started();
    const errors = new Map<string, Set<number | undefined>>();
    for (const [operation, bytes] of CORPUS)
      errors.set(operation, (errors.get(operation) ?? new Set()).add(hear(talk, bytes)));
    const told = Object.fromEntries([...errors].map(([operation, some]) => [operation, [...some]]));
    const refused = Object.fromEntries(WRITES.map((operation) => [operation, [ERRNO.EROFS]]));
    const silence = { FORGET: [undefined], BATCH_FORGET: [undefined] };
    const granted = Object.fromEntries(Object.keys(told).map((operation) => [operation, [0]]));
    expect(told).toEqual({
      ...granted,
      ...refused,
      ...silence,
      // A second one.
      INIT: [ERRNO.EINVAL],
      GETXATTR: [0, ERRNO.ENODATA],
      // IOCTL and LSEEK, without which the kernel does.
      '39': [ERRNO.ENOSYS],
      '46': [ERRNO.ENOSYS],
    });
    expect(tree.asked).toBeGreaterThan(CORPUS.length / 3);
    expect(talk.isWiped()).toBe(true);
  });

  it('begin a session', () => {
    const [, bytes] = CORPUS.find(([operation]) => operation === 'INIT')!;
    const talk = new Conversation();
    expect(hear(talk, bytes)).toBe(0);
    expect(talk.session.agreement?.minor).toBeGreaterThanOrEqual(31);
  });
});

describe.each([...new Set(CORPUS.map(([operation]) => operation))])('damaged %s', (operation) => {
  const messages = CORPUS.filter(([name]) => name === operation).map(([, bytes]) => bytes);

  it('cut off at any length is refused', () => {
    const { talk } = started();
    for (const bytes of messages)
      for (let length = 0; length < bytes.length; length += 1) {
        const error = hear(talk, Buffer.from(bytes.subarray(0, length)));
        if (length >= HEADER_BYTES && !silent(bytes)) expect(error).toBe(ERRNO.EINVAL);
      }
    expect(talk.isWiped()).toBe(true);
  });

  it('of any other length that it admits is answered', () => {
    const { talk } = started();
    for (const bytes of messages)
      for (let length = 4; length < bytes.length; length += 1) hear(talk, cut(bytes, length));
    expect(talk.isWiped()).toBe(true);
  });

  it('in any field is answered', () => {
    const { talk } = started();
    for (const bytes of messages)
      for (const copy of damaged(bytes)) {
        // A second INIT is refused; how damaged ones begin a session is the next test's.
        hear(talk, copy);
      }
    expect(talk.isWiped()).toBe(true);
  });
});

describe('damaged INIT', () => {
  it('agrees to nothing, or to what both speak', () => {
    const [, bytes] = CORPUS.find(([operation]) => operation === 'INIT')!;
    for (const copy of damaged(bytes)) {
      if (copy.readUInt32LE(OPERATION_AT) !== INIT) continue;
      const talk = new Conversation();
      const [answer] = talk.say(copy);
      expect(answer?.error).toBeLessThanOrEqual(0);
      for (const fault of talk.faults) expect(fault).toMatchObject({ code: 'protocol-unsupported' });
      const minor = talk.session.agreement?.minor;
      if (minor !== undefined) expect(minor >= 31 && minor <= copy.readUInt32LE(44)).toBe(true);
    }
  });
});

describe('the checks above', () => {
  it('notice a tree that is handed nonsense', () => {
    const { talk, tree } = started();
    expect(() => tree.read(2, 2 ** 60, 0, new Uint8Array(1))).toThrow('the number');
    expect(() => checkName('x'.repeat(256))).toThrow('the name');
    talk.faults.push('a fault');
    expect(() => hear(talk, message(3, 1, u64(0, 0)))).toThrow();
  });
});
