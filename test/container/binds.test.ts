// The two ways to bind into a container: the parent directory, in which a late or replaced mount appears; and one view
// alone, at a place of one's choice, which lives as long as its mount. In the host's user namespace and in others.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { callControl } from '../../daemon/control/client.ts';
import { ContainerHost, FS } from '../support/container-host.ts';
import { bind } from '../support/container-inside.ts';
import type { Bind, Inside, InsideOptions } from '../support/container-inside.ts';
import { HOOK, runc, stateOf } from '../support/container-runc.ts';
import type { Lapsed } from '../support/lapsed.ts';

const LAPSED = fileURLToPath(new URL('../../bin/lapsed', import.meta.url));

/** What a reader may get where nobody serves. */
const UNSERVED = ['ENOENT', 'EACCES', 'ENOTCONN', 'ECONNABORTED'];

/** For what follows by itself; a busy machine may take its time. */
const SOON = { timeout: 20_000 };

const secretValue = (length = 32): string => randomBytes(length).toString('base64url').slice(0, length);

/** As an engine does it that knows the control group of a container before it is created. */
async function register(machine: ContainerHost, id: string, workload: string): Promise<void> {
  const { control } = machine.host.places;
  const body = { id, workload, cgroup: `0::/${id}\n` };
  const { status } = await callControl(
    { to: control, method: 'POST', path: '/v1/workloads', body },
    systemClock(),
  );
  expect(status).toBe(201);
}

/** As the runtime does it, once more: a lapsed that starts afresh knows no container. */
async function registerAgain(machine: ContainerHost, { id }: Inside): Promise<void> {
  const { places } = machine.host;
  const hook = spawn(HOOK, ['create', '--socket', places.control], { stdio: ['pipe', 'inherit', 'inherit'] });
  hook.stdin.end(await stateOf(places, id));
  expect(await once(hook, 'exit')).toEqual([0, null]);
}

/** Gives a file to root of a container whose first id is this one. */
async function own({ host }: ContainerHost, name: string, id: number): Promise<void> {
  await host.lapse('grant', `payments/${name}`, 'web', '--uid', String(id), '--gid', String(id));
}

/** `kill` ends all of lapsed at once, however many processes that is. */
async function startMortal({ host }: ContainerHost): Promise<{ lapsed: Lapsed; kill: () => void }> {
  const group = host.group();
  const inGroup = ['sh', '-c', 'echo 0 >"$1" && shift && exec "$@"', 'sh', group.procs, LAPSED] as const;
  const lapsed = await host.launchLapsed({}, inGroup);
  await host.statusOf('lease', ({ lease }) => lease.holds);
  return { lapsed, kill: () => writeFileSync(join(group.directory, 'cgroup.kill'), '1') };
}

const bindOf = (machine: ContainerHost, view: string): Bind =>
  bind(join(machine.host.mount, 'w', view), '/run/secrets');

/** With a view at /run/secrets, and the parent beside it. Registered first: the bind is a lookup by the container. */
async function withDirectBind(
  machine: ContainerHost,
  workload: string,
  more: Partial<InsideOptions> = {},
): Promise<Inside> {
  const binds = [machine.parent, bindOf(machine, workload)];
  const runtime = await runc(machine.host.places, { workload, binds, ...more });
  await register(machine, runtime.id, workload);
  return machine.run(runtime);
}

/** Its user namespace: the host's, or its own. */
const NAMESPACES = [
  { whose: "the host's", first: 0, options: {} },
  {
    whose: 'its own',
    first: 100_000,
    options: { userNamespace: { uid: 100_000, gid: 100_000, count: 65_536 } },
  },
] as const;

describe('a bind of one view', () => {
  let machine: ContainerHost;

  beforeEach(async () => {
    machine = await ContainerHost.start();
  });

  afterEach(() => machine[Symbol.asyncDispose]());

  it.each(NAMESPACES)(
    'in $whose user namespace is read, rotated and revoked, and leads nowhere else',
    async ({ first, options }) => {
      const [old, fresh] = [secretValue(20), secretValue(40)];
      await machine.host.put('db', old, '--grant', 'web');
      await own(machine, 'db', first);
      await machine.host.put('theirs', secretValue(), '--grant', 'api');
      const inside = await withDirectBind(machine, 'web', options);
      await expect.poll(() => inside.ask('cat', '/run/secrets/db'), SOON).toBe(old);
      expect(await inside.ask('write', '/run/secrets/db')).toBe('EROFS');
      const directory = await inside.ask('open', '/run/secrets');
      for (const path of ['/run/secrets/..', `/proc/self/fd/${directory}/..`]) {
        expect((await inside.ask('list', path)).split(' ').sort()).toEqual([
          '.containerenv',
          'lapse',
          'secrets',
        ]);
      }

      await machine.host.rotate('db', fresh);
      expect(await inside.ask('cat', '/run/secrets/db')).toBe(fresh);
      expect(await inside.ask('stat', '/run/secrets/db')).toBe('100400 40 0 0');
      const held = await inside.ask('open', '/run/secrets/db');
      await machine.host.put('late', old, '--grant', 'web');
      expect(await inside.ask('list', '/run/secrets')).toContain('late');

      await machine.host.revoke('db');
      expect(await inside.ask('cat', '/run/secrets/db')).toBe('ENOENT');
      expect(await inside.ask('list', '/run/secrets')).toBe('late');
      expect(await inside.ask('read', held)).toBe('EACCES');
    },
  );

  it("of another workload keeps a container from starting, and so does one's own without a registration", async () => {
    await machine.host.put('db', secretValue(), '--grant', 'web');
    const binds = [bindOf(machine, 'web')];
    await expect(withDirectBind(machine, 'api', { binds })).rejects.toThrow(/w\/web.*no such file/);
    await expect(machine.inside(runc, { workload: 'web', binds })).rejects.toThrow(
      /w\/web.*permission denied/,
    );
    await withDirectBind(machine, 'web'); // control
  });

  it.each(['stopped', 'killed'] as const)('stays dead when lapsed is %s and replaced', async (how) => {
    await machine.host.lapsed.end();
    const mortal = await startMortal(machine);
    const value = secretValue();
    await machine.host.put('db', value, '--grant', 'web');
    const inside = await withDirectBind(machine, 'web');
    const direct = (): Promise<string> => inside.ask('cat', '/run/secrets/db');
    expect(await direct()).toBe(value);

    if (how === 'stopped') await mortal.lapsed.end();
    else mortal.kill();
    await expect.poll(direct, SOON).toBe('ENOTCONN');
    await machine.host.startLapsed();
    await registerAgain(machine, inside);
    await expect.poll(() => inside.ask('cat', `${FS}/self/db`), SOON).toBe(value);
    expect(await direct()).toBe('ENOTCONN');
    expect(await inside.ask('list', '/run/secrets')).toBe('ENOTCONN');
  });
});

describe('the bind of the parent, in a container that was there before lapsed', () => {
  let machine: ContainerHost;

  beforeEach(async () => {
    machine = await ContainerHost.start({ lapsed: false });
  });

  afterEach(() => machine[Symbol.asyncDispose]());

  it.each(NAMESPACES)(
    'in $whose user namespace shows a late mount, and each that follows',
    async ({ first, options }) => {
      const inside = await machine.inside(runc, { workload: 'web', hooked: false, ...options });
      const read = (): Promise<string> => inside.ask('cat', `${FS}/self/db`);
      expect(await inside.ask('stat', `${FS}/w`)).toBe('ENOENT');

      await machine.host.startLapsed();
      const value = secretValue();
      await machine.host.put('db', value, '--grant', 'web');
      await own(machine, 'db', first);
      expect((await inside.ask('list', FS)).split(' ')).toContain('w');
      expect(await inside.ask('link', `${FS}/self`)).toBe('ENOENT');
      await registerAgain(machine, inside);
      await expect.poll(read, SOON).toBe(value);

      await machine.host.lapsed.end();
      await expect.poll(read, SOON).toBe('ENOENT');
      const { kill } = await startMortal(machine);
      await registerAgain(machine, inside);
      await expect.poll(read, SOON).toBe(value);

      kill();
      await expect.poll(read, SOON).not.toBe(value);
      expect(UNSERVED).toContain(await read());
      await machine.host.startLapsed();
      await registerAgain(machine, inside);
      await expect.poll(read, SOON).toBe(value);
    },
  );
});
