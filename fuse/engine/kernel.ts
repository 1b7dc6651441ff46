/**
 * The default engine: serves a tree on the kernel's own protocol, in a loop of blocking reads that takes its whole
 * thread (a worker) until it is told to stop or the mount is gone. A blocked read wakes for requests only, so whoever
 * stops it sends one after (`retire`). A message that `drain` picks up has been seen before the next request is handled.
 */
import { receive, send } from '../device.ts';
import type { Agreement } from '../negotiation.ts';
import { uniqueOf } from '../resend.ts';
import { Session } from '../session.ts';
import type { Tree } from '../tree.ts';

/** The kernel wants 8 KiB at least; more lets it forget more nodes at once. */
const REQUEST_BUFFER_BYTES = 64 * 1024;

export interface ServeOptions {
  /** What `mount` returned. It stays open: closing it is up to whoever opened it. */
  readonly device: number;
  /** When another server answered INIT on this device: what it agreed on. Then this one is ready at once. */
  readonly agreement?: Agreement;
  readonly tree: Tree;
  /** At least REPLY_BUFFER_BYTES; file data exists nowhere else, and is wiped after every reply. */
  readonly replyBuffer: Uint8Array;
  /** Called after a request came and before it is handled. */
  readonly drain: () => void;
  readonly stopped: () => boolean;
  /**
   * Called once, when INIT was answered: from now on the mountpoint may be touched. With `agreement`, before the first
   * read: requests are answered from now on. A server that goes on later needs what it is told here.
   */
  readonly onReady: (agreement: Agreement) => void;
  /** Called with the `unique` of the first request, before it is handled: what `refuseLost` wants to know. */
  readonly onFirst?: (unique: bigint) => void;
  readonly onFault: (error: unknown) => void;
}

export function serve(options: ServeOptions): 'stopped' | 'unmounted' {
  const { device, agreement, tree, replyBuffer, drain, stopped, onReady, onFault } = options;
  let { onFirst } = options;
  const requests = new Uint8Array(REQUEST_BUFFER_BYTES);
  const session = new Session({
    ...(agreement && { agreement }),
    tree,
    requestBuffer: requests,
    replyBuffer,
    onFault,
    send: (length) => send(device, replyBuffer, length),
  });
  let ready = agreement !== undefined;
  if (agreement) onReady(agreement);
  while (!stopped()) {
    const length = receive(device, requests);
    if (length === 'unmounted') return 'unmounted';
    drain();
    if (length === 'again') continue;
    onFirst?.(uniqueOf(requests));
    onFirst = undefined;
    session.handle(length);
    if (!ready && session.agreement !== undefined) {
      ready = true;
      onReady(session.agreement);
    }
  }
  return 'stopped';
}
