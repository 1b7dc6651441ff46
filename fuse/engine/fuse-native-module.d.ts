/** What the adapter uses of fuse-native 2.2, which brings no types of its own. A status below 0 is an errno. */
declare module 'fuse-native' {
  export interface Stat {
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly size: number;
    readonly nlink: number;
    readonly ino: number;
    /** Milliseconds since 1970. */
    readonly atime: number;
    readonly mtime: number;
    readonly ctime: number;
  }

  export interface Operations {
    getattr(path: string, callback: (status: number, stat?: Stat) => void): void;
    readdir(path: string, callback: (status: number, names?: readonly string[]) => void): void;
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
  }

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
    mount(done: Done): void;
    unmount(done: Done): void;
  }
}
