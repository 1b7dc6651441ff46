/**
 * Who asks, as the header of the request at hand says. One object for all requests, so that none allocates.
 */
import { existsSync } from 'node:fs';
import type { Caller } from './tree.ts';
import type { Request } from './wire.ts';

export class RequestCaller implements Caller {
  tid = 0;
  uid = 0;
  gid = 0;
  request = 0;

  load({ tid, uid, gid }: Request): void {
    this.tid = tid;
    this.uid = uid;
    this.gid = gid;
    this.request += 1;
  }

  /** The thread is blocked in its request, so its number cannot have been given to another one. */
  get own(): boolean {
    return this.tid > 0 && existsSync(`/proc/self/task/${this.tid}`);
  }
}
