/**
 * The second engine: the same tree through the npm package fuse-native and Debian's libfuse2, for rootless use where
 * only the setuid fusermount may mount. It cannot tell who is calling (every caller has thread id 0, and must be
 * refused by a tree that asks), cannot invalidate what is mapped or cached, cannot resume after a crash, keeps file
 * data in its own unlocked memory, and runs on the main thread, at a third of the speed. Held descriptors do ask again.
 * Owner and mode are kept by the kernel (default_permissions). docs/engines.md has every difference.
 */
import { constants } from 'node:fs';
import type Fuse from 'fuse-native';
import type { Operations, Signal, Stat } from 'fuse-native';
import { run } from '../command.ts';
import { ERRNO, refusal } from '../errno.ts';
import { FuseError } from '../errors.ts';
import { unmount } from '../mount.ts';
import { canonical } from '../mountinfo.ts';
import type { Attributes, Caller, Errno, NodeId, Tree } from '../tree.ts';
import { MAX_NAME_BYTES, ROOT_NODE } from '../wire.ts';

const FILE_TYPE = {
  directory: constants.S_IFDIR,
  file: constants.S_IFREG,
  symlink: constants.S_IFLNK,
} as const;
const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
/** libfuse adds none of its own. */
const DOTS = [
  { name: '.', kind: 'directory' },
  { name: '..', kind: 'directory' },
] as const;
type Xattrs = ReadonlyMap<string, string>;
const NO_XATTRS: Xattrs = new Map();
/** The kernel's own overflow ids, so that nobody is taken for root. */
const UNKNOWN: Caller = { tid: 0, uid: 65_534, gid: 65_534, request: 0, own: false };

export interface NativeOptions {
  readonly directory: string;
  readonly fsname: string;
  readonly subtype: string;
  readonly tree: Tree;
  readonly onFault: (error: unknown) => void;
}

export interface NativeMount {
  unmount(signal: AbortSignal): Promise<void>;
}

export async function mountNative({
  directory,
  fsname,
  subtype,
  tree,
  onFault,
}: NativeOptions): Promise<NativeMount> {
  const Native = await load();
  const path = await canonical(directory);
  const server = new Native(path, operations(tree, onFault), {
    allowOther: true,
    defaultPermissions: true,
    timeout: false,
    // As text, because fuse-native drops a number that is zero; libfuse would then cache for a second.
    entryTimeout: '0',
    attrTimeout: '0',
    // It passes no other option on, but libfuse splits at commas; direct_io makes every read ask again.
    fsname: `${fsname},subtype=${subtype},ro,nosuid,nodev,noexec,direct_io`,
  });
  answerXattrs(server, tree, onFault);
  await settled((done) => server.mount(done));
  return {
    async unmount(signal) {
      // Its own way runs fusermount through a shell, with the path inside double quotes.
      Native.unmount = (_, done) => void detach(path, signal).then(() => done(null), done);
      await settled((done) => server.unmount(done));
    },
  };
}

async function load(): Promise<typeof Fuse> {
  try {
    return (await import('fuse-native')).default;
  } catch (cause) {
    const advice =
      'install the npm package fuse-native (optional dependency, x86_64) and libfuse 2 (apt-get install libfuse2)';
    throw new FuseError('engine-unavailable', `the engine fuse-native cannot be loaded: ${advice}`, {
      cause,
    });
  }
}

function settled(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((cause) => {
      if (cause === null) resolve();
      else
        reject(cause instanceof FuseError ? cause : new FuseError('engine-failed', cause.message, { cause }));
    });
  });
}

async function detach(directory: string, signal: AbortSignal): Promise<void> {
  if (process.geteuid?.() === 0) return unmount(directory, signal);
  const { status, diagnostics } = await run('fusermount', ['-u', '-z', '--', directory], { signal });
  if (status !== 0) throw new FuseError('unmount-failed', `cannot unmount ${directory}: ${diagnostics}`);
}

type Ask = <Answer>(path: string, answer: (found: Attributes) => Answer | Errno) => Answer | Errno;

/** Asks the tree about what stands at a path, failing closed. */
function asking(tree: Tree, onFault: (error: unknown) => void): Ask {
  return (path, answer) => attempt(onFault, () => walk(tree, path, answer));
}

function attempt<Answer>(onFault: (error: unknown) => void, answer: () => Answer | Errno): Answer | Errno {
  try {
    const outcome = answer();
    return typeof outcome === 'number' && outcome < 0 ? refusal(outcome) : outcome;
  } catch (error) {
    onFault(error);
    return ERRNO.EACCES;
  }
}

function operations(tree: Tree, onFault: (error: unknown) => void): Operations {
  const opened = new Map<number, { node: NodeId; handle: number }>();
  let lastDescriptor = 0;
  const at = asking(tree, onFault);

  return {
    statfs(_path, callback) {
      callback(0, { bsize: BLOCK_BYTES, frsize: BLOCK_BYTES, namemax: MAX_NAME_BYTES });
    },
    getattr(path, callback) {
      const stat = at(path, toStat);
      if (typeof stat === 'number') callback(stat);
      else callback(0, stat);
    },
    // libfuse asks for the entries only when the first are read.
    opendir(path, _flags, callback) {
      const entries = at(path, ({ node }) => tree.entries(node, UNKNOWN));
      callback(typeof entries === 'number' ? entries : 0);
    },
    readdir(path, callback) {
      const entries = at(path, ({ node }) => tree.entries(node, UNKNOWN));
      if (typeof entries === 'number') callback(entries);
      else {
        const all = [...DOTS, ...entries];
        const names = all.map(({ name }) => name);
        callback(
          0,
          names,
          all.map(({ kind }) => ofKind(kind)),
        );
      }
    },
    readlink(path, callback) {
      const target = at(path, ({ node }) => tree.readlink(node, UNKNOWN));
      if (typeof target === 'number') callback(target);
      else callback(0, target);
    },
    open(path, _flags, callback) {
      const descriptor = at(path, ({ node }) => {
        const handle = tree.open(node, UNKNOWN);
        if (handle < 0) return handle;
        lastDescriptor += 1;
        opened.set(lastDescriptor, { node, handle });
        return lastDescriptor;
      });
      if (descriptor < 0) callback(descriptor);
      else callback(0, descriptor);
    },
    read(_path, descriptor, into, length, offset, callback) {
      callback(
        attempt(onFault, () => {
          const file = opened.get(descriptor);
          return file === undefined
            ? ERRNO.EBADF
            : tree.read(file.node, file.handle, offset, into.subarray(0, length), UNKNOWN);
        }),
      );
    },
    release(_path, descriptor, callback) {
      const file = opened.get(descriptor);
      opened.delete(descriptor);
      callback(
        file === undefined ? ERRNO.EBADF : attempt(onFault, () => (tree.release(file.node, file.handle), 0)),
      );
    },
    getxattr: unused,
    listxattr: unused,
  };
}

function unused(): never {
  throw new Error('answerXattrs answers this');
}

/**
 * In place of what the package does: that writes past a buffer that is too small, and says the size of a list with 128
 * bytes more.
 */
function answerXattrs(server: Fuse, tree: Tree, onFault: (error: unknown) => void): void {
  const at = asking(tree, onFault);
  const answer = (signal: Signal, path: string, into: Buffer, value: (all: Xattrs) => string | Errno) => {
    const found = at(path, ({ node }) => {
      const all = tree.xattrs?.(node, UNKNOWN) ?? NO_XATTRS;
      return typeof all === 'number' ? all : value(all);
    });
    // The memory is gone once it is handed back: the length first.
    const status = typeof found === 'number' ? found : fill(into, found);
    signal(status, into.buffer);
  };
  server._op_getxattr = (signal, path, name, into) =>
    answer(signal, path, into, (all) => all.get(name) ?? ERRNO.ENODATA);
  server._op_listxattr = (signal, path, into) =>
    answer(signal, path, into, (all) => [...all.keys()].map((name) => `${name}\0`).join(''));
}

function fill(into: Buffer, text: string): number {
  const length = Buffer.byteLength(text);
  if (into.length === 0) return length;
  return length > into.length ? ERRNO.ERANGE : into.write(text);
}

/** Looks every name of the path up from the root, and forgets the nodes again when the answer is there. */
function walk<Answer>(
  tree: Tree,
  path: string,
  answer: (found: Attributes) => Answer | Errno,
): Answer | Errno {
  const held: NodeId[] = [];
  try {
    let here = tree.attributes(ROOT_NODE, UNKNOWN);
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (typeof here === 'number') return here;
      if (Buffer.byteLength(name) > MAX_NAME_BYTES) return ERRNO.ENAMETOOLONG;
      here = tree.lookup(here.node, name, UNKNOWN);
      if (typeof here !== 'number') held.push(here.node);
    }
    return typeof here === 'number' ? here : answer(here);
  } finally {
    for (const node of held) tree.forget(node, 1);
  }
}

/** Of all this, a listing shows the kind only. */
function ofKind(kind: Attributes['kind']): Stat {
  return toStat({ node: 0, kind, size: 0, mode: 0, uid: 0, gid: 0, mtime: 0 });
}

function toStat({ node, kind, size, mode, uid, gid, mtime }: Attributes): Stat {
  const time = mtime * 1000;
  const links = kind === 'directory' ? 2 : 1;
  return {
    mode: FILE_TYPE[kind] | mode,
    uid,
    gid,
    size,
    nlink: links,
    blksize: BLOCK_BYTES,
    blocks: Math.ceil(size / SECTOR_BYTES),
    ino: node,
    atime: time,
    mtime: time,
    ctime: time,
  };
}
