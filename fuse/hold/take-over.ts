/**
 * Goes on where an earlier server ended. What it took and never answered is asked again, or refused where the kernel
 * cannot (resend.ts); then every page that it may have served is dropped, so that whoever mapped one asks this server.
 * For the main thread, when the serving thread reads the device. Resolves when nothing of the earlier server is left.
 */
import { barrier } from '../barrier.ts';
import type { Notifier } from '../notify.ts';
import { refuseLost } from '../resend.ts';
import type { NodeId } from '../tree.ts';

export interface TakeOverOptions {
  readonly device: number;
  readonly notifier: Notifier;
  /** Where the file system is attached. */
  readonly directory: string;
  /** What `serve` told `onFirst`. Not waited for where the kernel sends again. */
  readonly first: Promise<bigint>;
  /** How many requests the earlier server can have had in hand. */
  readonly most: number;
  /** All that may be mapped; none after a server that yielded in order, if this one serves the same. */
  readonly nodes: Iterable<NodeId>;
  /** False: as if the kernel could not send again. */
  readonly resend?: boolean;
}

export interface TakenOver {
  readonly resent: boolean;
  /** How many requests were refused with EACCES instead. */
  readonly refused: number;
  /** How many nodes the kernel knew. */
  readonly withdrawn: number;
}

export async function takeOver(options: TakeOverOptions): Promise<TakenOver> {
  const { device, notifier, directory, first, most, nodes, resend = true } = options;
  const resent = resend && (await notifier.resend());
  // It may be the first request of all. What was lost cannot keep it from being read.
  const answered = barrier(directory);
  const refused = resent ? 0 : await refuseLost({ device, below: await first, most });
  await answered;
  let withdrawn = 0;
  for (const node of nodes) if (await notifier.invalidateInode(node)) withdrawn += 1;
  return { resent, refused, withdrawn };
}
