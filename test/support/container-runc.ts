// runc, by a bundle as an engine would write it: our hook, an annotation, binds as slaves, optionally a user namespace.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WORKLOAD_ANNOTATION } from '../../daemon/hook/state.ts';
import type { Places } from '../../demo/programs.ts';
import { TOOLS, freshId, makeRootfs } from './container-inside.ts';
import type { Command, InsideOptions, Runtime, User } from './container-inside.ts';

const run = promisify(execFile);
export const HOOK = fileURLToPath(new URL('../../bin/lapse-oci-hook', import.meta.url));

/** The part of an OCI runtime configuration that is changed here. */
interface RuntimeConfig {
  readonly process: { readonly capabilities: object };
  readonly mounts: readonly object[];
  readonly linux: { readonly namespaces: readonly object[] };
}

export interface RuncOptions extends InsideOptions {
  /** False: as if nobody had configured the hook. */
  readonly hooked?: boolean;
}

export async function runc(places: Places, options: RuncOptions): Promise<Runtime> {
  const id = freshId();
  const bundle = join(places.work, 'containers', id);
  await makeRootfs(join(bundle, 'rootfs'));
  await run('runc', ['spec', '--bundle', bundle]);
  const file = join(bundle, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as RuntimeConfig;
  await writeFile(file, JSON.stringify(configure(config, id, places, options)));
  const command: Command = ['runc', '--root', join(places.work, 'runc')];
  return {
    id,
    run: [...command, 'run', '--bundle', bundle, id],
    remove: [...command, 'delete', '--force', id],
    exec: (user) => [...command, 'exec', ...userFlags(user), id],
  };
}

/** What an engine would give to the hook: the container's state, from the runtime. */
export async function stateOf(places: Places, id: string): Promise<string> {
  return (await run('runc', ['--root', join(places.work, 'runc'), 'state', id])).stdout;
}

function userFlags({ uid, gid, groups = [], capabilities = [] }: User): readonly string[] {
  return [
    ...['--user', `${uid}:${gid}`],
    ...groups.flatMap((group) => ['--additional-gids', String(group)]),
    ...capabilities.flatMap((capability) => ['--cap', capability]),
  ];
}

function configure(config: RuntimeConfig, id: string, places: Places, options: RuncOptions): object {
  const { workload, userNamespace, binds = [], capabilities = [], hooked = true } = options;
  const hook = (stage: string): object => ({
    path: HOOK,
    args: ['lapse-oci-hook', stage, '--socket', places.control],
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    timeout: 10,
  });
  const mapping = (hostID: number): object => [{ containerID: 0, hostID, size: userNamespace?.count }];
  const sets = ['bounding', 'effective', 'permitted'].map((set) => [set, capabilities] as const);
  return {
    ...config,
    process: {
      ...config.process,
      terminal: false,
      args: ['/bin/probe'],
      capabilities: Object.fromEntries(sets),
    },
    root: { path: 'rootfs', readonly: true },
    mounts: [...config.mounts, ...[TOOLS, ...binds].map((mount) => ({ ...mount, type: 'bind' }))],
    annotations: workload === undefined ? {} : { [WORKLOAD_ANNOTATION]: workload },
    hooks: hooked ? { createRuntime: [hook('create')], poststop: [hook('delete')] } : {},
    linux: {
      ...config.linux,
      cgroupsPath: `/${id}`,
      ...(userNamespace && {
        namespaces: [...config.linux.namespaces, { type: 'user' }],
        uidMappings: mapping(userNamespace.uid),
        gidMappings: mapping(userNamespace.gid),
      }),
    },
  };
}
