// The engine "kernel": one mount under a holder, which keeps the device, so that this server can be replaced under open
// files. A fresh one mounts; one that resumes, or is the next, goes on where another ended.
import { Announcer } from '../../fuse/announce.ts';
import { barrier } from '../../fuse/barrier.ts';
import { retire } from '../../fuse/engine/retire.ts';
import { DEVICE } from '../../fuse/hold/held.ts';
import type { Held } from '../../fuse/hold/held.ts';
import { HeldState } from '../../fuse/hold/state.ts';
import { takeOver } from '../../fuse/hold/take-over.ts';
import type { Agreement } from '../../fuse/negotiation.ts';
import { Notifier } from '../../fuse/notify.ts';
import { DaemonError } from '../errors.ts';
import { Places, makeRunDirectory } from './places.ts';
import type { Engine, EngineParts } from './engine.ts';
import type * as core from '../server.ts';
import { ServingThread } from './thread.ts';

/** How often it is looked whether the mounts are still there, in milliseconds. */
const WATCH_MS = 500;

export async function startKernel(parts: EngineParts, held: Held): Promise<Engine> {
  const { config, clock } = parts;
  const run = makeRunDirectory(config.control);
  const left = new HeldState(run);
  const places = new Places(run, config.mount, left, clock);
  const notifier = new Notifier(DEVICE);
  const thread =
    held.phase === 'fresh' ? await mounted() : new ServingThread(parts, await earlierAgreement());
  let state: 'waiting' | 'serving' | 'stopped' = held.phase === 'fresh' ? 'serving' : 'waiting';
  // Detached while files are open, the file system lives on where no path leads, and a barrier would ask the directory
  // beneath.
  const watch = clock.every(WATCH_MS, () => {
    places.stand().then((stand) => {
      if (!stand && state === 'serving')
        parts.onFailure(new DaemonError('mount-gone', 'the mount was taken away'));
    }, parts.onFailure);
  });

  async function mounted(): Promise<ServingThread> {
    await places.attach();
    const fresh = new ServingThread(parts, undefined);
    fresh.go();
    // Mounted already, with a thread that may sit in a read: an ordinary error would hang, and leave the mount.
    await fresh
      .untilReady(clock)
      .then((agreement) => left.saveAgreement(agreement))
      .then(() => places.publish())
      .catch(parts.onFailure);
    return fresh;
  }

  async function earlierAgreement(): Promise<Agreement> {
    await places.expectToStand();
    return left.agreement();
  }

  async function goOn(nodes: readonly number[]): Promise<void> {
    state = 'serving';
    thread.go();
    const [directory, first] = [places.private, thread.first];
    await takeOver({ device: DEVICE, notifier, directory, first, most: 1, nodes });
  }

  function stop(): void {
    state = 'stopped';
    watch[Symbol.dispose]();
    thread.stop();
  }

  const end = (leave: () => Promise<void> | void): Promise<void> =>
    retire({ directory: places.private, stop, ended: thread.ended, leave });

  return {
    server: {
      async show(table) {
        const taken = thread.show(table);
        // The next one serves from its first table on; what its predecessor showed, that takes back as far as it must.
        await (state === 'waiting' ? goOn([]) : Promise.race([taken, barrier(places.private)]));
      },
      invalidator: invalidator(notifier),
      announcer: announcer(new Announcer(places.private), () => state === 'serving'),
    },

    async resume() {
      if (held.phase === 'resume') await goOn(await left.nodes());
    },

    remember: (nodes) => left.saveNodes(nodes),

    handOver: () => end(() => held.yielded()),

    beat: () => held.beatOnce(places.private),

    strike: (means) => thread.strike(means),

    async close() {
      // Then another one serves.
      if (state !== 'waiting') await end(() => places.detach());
    },
  };
}

function invalidator(notifier: Notifier): core.Invalidator {
  return {
    pages: (node) => settled(notifier.invalidateInode(node)),
    name: (view, name) => settled(notifier.invalidateEntry(view, name)),
    removed: (view, node, name) => settled(notifier.deleteEntry(view, node, name)),
  };
}

/** Whether the kernel had anything to forget does not matter here. */
async function settled(forgotten: Promise<boolean>): Promise<void> {
  await forgotten;
}

function announcer(kernel: Announcer, answers: () => boolean): core.Announcer {
  return {
    async replacing(view, file, size) {
      if (!answers()) return () => Promise.resolve(false);
      const held = await kernel.replacing(`w/${view}/${file}`, size);
      return () => held.replaced();
    },
    created: (view, file) => kernel.created(`w/${view}/${file}`),
    deleted: (view, file) => kernel.deleted(`w/${view}/${file}`),
    switched: (view) => kernel.renamed(`v/${view}/..data_tmp`, `v/${view}/..data`),
  };
}
