// A server process for the engine tests: mounts the directory it is given, serves the static tree with the engine it is
// given, and obeys what its parent sends. It answers every command, and exits after `stop`.
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';
import { barrier } from '../../fuse/barrier.ts';
import { mountNative } from '../../fuse/engine/fuse-native.ts';
import { retire } from '../../fuse/engine/retire.ts';
import { mount, unmount } from '../../fuse/mount.ts';
import { Notifier } from '../../fuse/notify.ts';
import { StaticTree } from '../support/fuse-static-tree.ts';

export type Command =
  | { readonly do: 'deny' | 'stop' | 'wait' }
  | { readonly do: 'invalidate-inode'; readonly node: number }
  | { readonly do: 'invalidate-entry'; readonly parent: number; readonly name: string }
  | { readonly do: 'delete-entry'; readonly parent: number; readonly child: number; readonly name: string };

type Obey = (command: Command) => Promise<unknown>;

const NAMES = { fsname: 'engine-test', subtype: 'lapse' };
const deadline = () => AbortSignal.timeout(20_000);

async function startKernel(directory: string): Promise<Obey> {
  const device = await mount({ directory, ...NAMES, signal: deadline() });
  const { port1, port2 } = new MessageChannel();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('engine-worker.ts', import.meta.url), {
    workerData: { device, port: port2, stop },
    transferList: [port2],
  });
  const ended: Promise<unknown[]> = once(worker, 'message');
  const notifier = new Notifier(device);
  await once(port1, 'message');
  return async (command) => {
    switch (command.do) {
      case 'deny':
        port1.postMessage('deny');
        return barrier(directory);
      case 'invalidate-inode':
        return notifier.invalidateInode(command.node);
      case 'invalidate-entry':
        return notifier.invalidateEntry(command.parent, command.name);
      case 'delete-entry':
        return notifier.deleteEntry(command.parent, command.child, command.name);
      case 'wait':
        return (await ended)[0];
      case 'stop':
        return retire({
          directory,
          ended,
          stop: () => Atomics.store(stop, 0, 1),
          leave: () => {
            closeSync(device);
            return unmount(directory, deadline());
          },
        });
    }
  };
}

async function startNative(directory: string): Promise<Obey> {
  let denying = false;
  const onFault = (error: unknown) => process.stderr.write(String(error));
  const server = await mountNative({ directory, ...NAMES, tree: new StaticTree(() => denying), onFault });
  return async (command) => {
    if (command.do === 'stop') await server.unmount(deadline());
    denying = true;
  };
}

const [engine, directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: engine-server.ts kernel|fuse-native DIRECTORY');
const obey = await (engine === 'kernel' ? startKernel(directory) : startNative(directory));

process.on('message', (command: Command) => {
  void obey(command).then((result) => {
    process.send?.({ result: result ?? null }, () => {
      if (command.do === 'stop') process.exit(0);
    });
  });
});
process.send?.('ready');
