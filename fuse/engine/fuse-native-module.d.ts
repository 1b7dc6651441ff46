/** What the adapter uses of fuse-native 2.2, which brings no types of its own. A status below 0 is an errno. */
declare module 'fuse-native' {
  export interface Stat {
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly size: number;
    readonly nlink: number;
    readonly ino: number;
    readonly blksize: number;
    readonly blocks: number;
    /** Milliseconds since 1970. */
    readonly atime: number;
    readonly mtime: number;
    readonly ctime: number;
  }

  export interface Statfs {
    readonly bsize: number;
    readonly frsize: number;
    readonly namemax: number;
  }

  export interface Operations {
    statfs(path: string, callback: (status: number, statfs?: Statfs) => void): void;
    getattr(path: string, callback: (status: number, stat?: Stat) => void): void;
    opendir(path: string, flags: number, callback: (status: number) => void): void;
    /** Of the attributes, one for each name, the kind is used. */
    readdir(
      path: string,
      callback: (status: number, names?: readonly string[], stats?: readonly Stat[]) => void,
    ): void;
    readlink(path: string, callback: (status: number, target?: string) => void): void;
    open(path: string, flags: number, callback: (status: number, descriptor?: number) => void): void;
    /** The status is the count of bytes copied into the buffer. */
    read(
      path: string,
      descriptor: number,
      into: Buffer,
      length: number,
      offset: number,
      callback: (status: number) => void,
    ): void;
    release(path: string, descriptor: number, callback: (status: number) => void): void;
    /** That they are there makes the package ask; the answers come from _op_getxattr and _op_listxattr. */
    getxattr(): never;
    listxattr(): never;
  }

  /** The status is a count of bytes; the memory is what was handed in, and is taken away again. */
  export type Signal = (status: number, memory: ArrayBufferLike) => void;

  export interface Options {
    readonly allowOther: boolean;
    readonly defaultPermissions: boolean;
    readonly fsname: string;
    readonly entryTimeout: string;
    readonly attrTimeout: string;
    /** False: no timer that answers in our place. */
    readonly timeout: false;
  }

  type Done = (error: Error | null) => void;

  export default class Fuse {
    static unmount(directory: string, done: Done): void;
    constructor(directory: string, operations: Operations, options: Options);
    /** What the package calls, with the buffer that the caller gave: one of no bytes asks for the size. */
    _op_getxattr(signal: Signal, path: string, name: string, into: Buffer): void;
    _op_listxattr(signal: Signal, path: string, into: Buffer): void;
    mount(done: Done): void;
    unmount(done: Done): void;
  }
}
