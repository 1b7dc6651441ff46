// The engine "fuse-native": rootless, for one workload, from the main thread. It dies with its process, cannot tell who
// is calling, and neither takes back what is mapped nor tells who watches. Said at start.
import { mountNative } from '../../fuse/engine/fuse-native.ts';
import type { Workload } from '../../manifest/names.ts';
import { SecretFiles } from '../tree/secret-file.ts';
import { SecretTree } from '../tree/secret-tree.ts';
import { VaultOpener } from '../vault/opener.ts';
import { NAME, clear } from './places.ts';
import type { Engine, EngineParts } from './engine.ts';

const UNMOUNT_MS = 1500;

export async function startNative(parts: EngineParts, workload: Workload): Promise<Engine> {
  const { config, clock, memory, slots, leases, log } = parts;
  await clear(config.mount, clock);
  const files = new SecretFiles(new VaultOpener(slots, memory, parts.onOpened), leases);
  const tree = new SecretTree(() => workload, files);
  const native = await mountNative({
    directory: config.mount,
    ...NAME,
    tree,
    onFault: () => log.error('a request was refused because of a fault'),
  });
  log.warn(
    `engine fuse-native: every caller of ${config.mount} counts as ${workload}; mappings are not withdrawn`,
  );
  const nothing = (): Promise<void> => Promise.resolve();
  const untold = (): Promise<boolean> => Promise.resolve(false);
  return {
    server: {
      show(table) {
        const groups = new Map([...table.groups, ['mount:/', workload]]);
        // Nobody makes names that arrive, so they are there at once.
        tree.show({ ...table, groups, arriving: new Set(), departing: [] });
        return Promise.resolve();
      },
      invalidator: { pages: nothing, name: nothing, removed: nothing },
      announcer: {
        replacing: () => Promise.resolve(untold),
        created: untold,
        deleted: untold,
        switched: untold,
      },
    },
    resume: nothing,
    remember: nothing,
    handOver: nothing,
    beat: nothing,
    // It has no thread of its own, and config.ts allows no drill with it.
    strike: () => undefined,
    close: () => native.unmount(clock.deadline(UNMOUNT_MS)),
  };
}
