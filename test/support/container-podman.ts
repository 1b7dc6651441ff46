// podman, as root, without images, network or anything outside the host's directory: storage, locks and state lie in it.
// Our hook is found in a hooks directory by its annotation.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WORKLOAD_ANNOTATION } from '../../daemon/hook/state.ts';
import type { Places } from '../../demo/programs.ts';
import { TOOLS, freshId, makeRootfs } from './container-inside.ts';
import type { Bind, Command, InsideOptions, Runtime } from './container-inside.ts';
import { HOOK } from './container-runc.ts';

/** podman leaves the control groups' parent behind. */
const REMOVE =
  'podman rm --force --time=0 --ignore "$1"; find /sys/fs/cgroup -maxdepth 2 -depth -name "$1" -exec rmdir {} +';

export async function podman(places: Places, options: InsideOptions): Promise<Runtime> {
  const { workload, userNamespace, capabilities, binds = [] } = options;
  const id = freshId();
  const rootfs = join(places.work, 'containers', id, 'rootfs');
  await makeRootfs(rootfs);
  const env = await environment(places);
  const command: Command = ['podman'];
  const map = (first: number | undefined): string => `0:${first}:${userNamespace?.count}`;
  return {
    id,
    env,
    run: [
      ...command,
      ...['run', '--interactive', '--name', id, '--network=none'],
      `--cgroup-parent=/${id}`,
      ...(workload === undefined ? [] : ['--annotation', `${WORKLOAD_ANNOTATION}=${workload}`]),
      ...(userNamespace ? ['--uidmap', map(userNamespace.uid), '--gidmap', map(userNamespace.gid)] : []),
      ...(capabilities ? ['--cap-drop=all', ...capabilities.map((name) => `--cap-add=${name}`)] : []),
      ...[TOOLS, ...binds].flatMap((mount) => ['--volume', volume(mount)]),
      ...['--rootfs', rootfs, '/bin/probe'],
    ],
    remove: ['sh', '-c', REMOVE, 'sh', id],
    exec: ({ uid, gid }) => [...command, 'exec', '--user', `${uid}:${gid}`, id],
  };
}

function volume({ source, destination, options }: Bind): string {
  return `${source}:${destination}:${options.join()}`;
}

async function environment(places: Places): Promise<NodeJS.ProcessEnv> {
  const at = (...names: string[]): string => JSON.stringify(join(places.work, 'podman', ...names));
  const hooks = join(places.work, 'podman', 'hooks');
  await mkdir(hooks, { recursive: true });
  for (const [stage, argument] of [
    ['createRuntime', 'create'],
    ['poststop', 'delete'],
  ] as const) {
    const hook = { path: HOOK, args: ['lapse-oci-hook', argument, '--socket', places.control], timeout: 10 };
    const when = { annotations: { [`^${WORKLOAD_ANNOTATION}$`]: '.' } };
    await writeFile(
      join(hooks, `${stage}.json`),
      JSON.stringify({ version: '1.0.0', hook, when, stages: [stage] }),
    );
  }
  const containers = join(places.work, 'podman', 'containers.conf');
  const storage = join(places.work, 'podman', 'storage.conf');
  await writeFile(
    containers,
    `[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
hooks_dir = [${at('hooks')}]
static_dir = ${at('static')}
tmp_dir = ${at('tmp')}
volume_path = ${at('volumes')}
`,
  );
  await writeFile(
    storage,
    `[storage]
driver = "vfs"
graphroot = ${at('root')}
runroot = ${at('run')}
`,
  );
  return { ...process.env, CONTAINERS_CONF: containers, CONTAINERS_STORAGE_CONF: storage };
}
