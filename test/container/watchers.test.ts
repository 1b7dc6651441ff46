// What watchers in a real container hear (docs/operations/files.md), by the bind of the parent and by the bind of one view;
// and that nobody in a container can make others hear it.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { callControl } from '../../daemon/control/client.ts';
import { ContainerHost, FS } from '../support/container-host.ts';
import { ROOT, bind } from '../support/container-inside.ts';
import type { Inside } from '../support/container-inside.ts';
import { runc } from '../support/container-runc.ts';

/** For what follows by itself; a busy machine may take its time. */
const SOON = { timeout: 20_000 };
const EVENTS = 'modify,attrib,close_write,moved_from,moved_to,create,delete,delete_self,move_self,unmount';
const NODE = '/opt/node';
const SUPPORT = '/opt/support';
/** Where a view is, by the parent and by a bind of its own. */
const VIEWS = [`${FS}/w/web`, '/run/secrets'] as const;
const FS_WATCH = `const { watch } = require('node:fs');
  for (const path of process.argv.slice(2)) watch(path, (event, name) => console.log(path, event, name));
  console.log('ready');`;

let names = 0;
/** One that no try before had: what those started watches on. */
const fresh = (name: string): string => `${name}-${++names}`;

let machine: ContainerHost;
let inside: Inside;

beforeAll(async () => {
  machine = await ContainerHost.start();
  const { host } = machine;
  const binds = [
    machine.parent,
    bind(`${host.mount}/w/web`, '/run/secrets'),
    { source: dirname(process.execPath), destination: NODE, options: ['rbind', 'ro'] },
    {
      source: fileURLToPath(new URL('../support', import.meta.url)),
      destination: SUPPORT,
      options: ['rbind', 'ro'],
    },
  ];
  const runtime = await runc(host.places, { workload: 'web', binds });
  // Registered first: to bind a view is a lookup by the container.
  const body = { id: runtime.id, workload: 'web', cgroup: `0::/${runtime.id}\n` };
  const to = host.places.control;
  const { status } = await callControl({ to, method: 'POST', path: '/v1/workloads', body }, systemClock());
  expect(status).toBe(201);
  inside = await machine.run(runtime);
});

afterAll(() => machine[Symbol.asyncDispose]());

/** What a watcher that runs in the container has written. */
class Heard {
  readonly #file: string;
  #taken = 0;

  private constructor(file: string) {
    this.#file = file;
  }

  static inotify(name: string, ...paths: readonly string[]): Promise<Heard> {
    const command = `inotifywait -m --format '%w %e %f' -e ${EVENTS} ${paths.join(' ')}`;
    return Heard.#start(name, command, ['Setting up watches.', 'Watches established.']);
  }

  static node(name: string, ...paths: readonly string[]): Promise<Heard> {
    return Heard.#start(name, `${NODE}/node -e "${FS_WATCH}" watch ${paths.join(' ')}`, ['ready']);
  }

  static async #start(name: string, command: string, greeting: readonly string[]): Promise<Heard> {
    const heard = new Heard(`/dev/shm/${fresh(name)}`);
    await inside.sh(`${command} >${heard.#file} 2>&1 </dev/null &`);
    expect(await heard.next(greeting.length)).toEqual(greeting);
    return heard;
  }

  /** Exactly the next ones, once as many have come. */
  async next(count: number): Promise<readonly string[]> {
    const unheard = async (): Promise<string[]> => (await this.#lines()).slice(this.#taken);
    await expect.poll(async () => (await unheard()).length, SOON).toBeGreaterThanOrEqual(count);
    const lines = await unheard();
    this.#taken += lines.length;
    return lines.sort();
  }

  async #lines(): Promise<string[]> {
    const text = await inside.sh(`cat ${this.#file}`);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.replace('/ ', ' ').replace(',CLOSE', '').trimEnd());
  }
}

/** By each way alone: it is one directory, which one watcher would watch once. */
it.each(VIEWS)('at %s: arrival, rotation, another name, revocation', async (view) => {
  const { host } = machine;
  const name = fresh(view === '/run/secrets' ? 'direct' : 'parent');
  const directory = await Heard.inotify(`${name}-directory`, view);
  const volume = await Heard.inotify(`${name}-volume`, `${FS}/volume/`);
  const inDirectory = (...events: string[]): string[] => events.map((event) => `${view} ${event}`).sort();
  const switched = [`${FS}/volume MOVED_FROM ..data_tmp`, `${FS}/volume MOVED_TO ..data`];
  await host.put(name, 'first', '--grant', 'web');
  expect(await directory.next(2)).toEqual(inDirectory(`CREATE ${name}`, `CLOSE_WRITE ${name}`));
  expect(await volume.next(2)).toEqual(switched);

  const file = await Heard.inotify(`${name}-file`, `${view}/${name}`);
  await host.rotate(name, 'second');
  expect(await directory.next(2)).toEqual(inDirectory(`MODIFY ${name}`, `CLOSE_WRITE ${name}`));
  expect(await file.next(2)).toEqual([`${view}/${name} CLOSE_WRITE`, `${view}/${name} MODIFY`]);
  expect(await volume.next(2)).toEqual(switched);
  expect(await inside.ask('cat', `${view}/${name}`)).toBe('second');

  const renamed = `${name}.renamed`;
  await host.lapse('grant', `payments/${name}`, 'web', '--as', renamed);
  expect(await directory.next(3)).toEqual(
    inDirectory(`DELETE ${name}`, `CREATE ${renamed}`, `CLOSE_WRITE ${renamed}`),
  );
  const again = await Heard.inotify(`${name}-again`, `${view}/${renamed}`);
  await host.revoke(name);
  expect(await directory.next(1)).toEqual(inDirectory(`DELETE ${renamed}`));
  expect(await again.next(1)).toEqual([`${view}/${renamed} DELETE_SELF`]);
  expect(await inside.ask('cat', `${view}/${renamed}`)).toBe('ENOENT');
  await host.put(name, 'third');
  expect(await directory.next(2)).toEqual(inDirectory(`CREATE ${renamed}`, `CLOSE_WRITE ${renamed}`));
});

it("Node's fs.watch", async () => {
  const { host } = machine;
  const node = fresh('node');
  await host.put(node, 'first', '--grant', 'web');
  for (const [i, view] of VIEWS.entries()) {
    const heard = await Heard.node(`fs-watch-${i}`, view, `${view}/${node}`);
    await host.rotate(node, `next ${i}`);
    expect(await heard.next(2)).toEqual([`${view} change ${node}`, `${view}/${node} change ${node}`]);
  }
  const heard = await Heard.node('fs-watch', VIEWS[1], `${VIEWS[1]}/${node}`);
  await host.revoke(node);
  // Twice of the file: that it is gone, and that it is watched no longer.
  const [of, twice] = [`${VIEWS[1]} rename ${node}`, `${VIEWS[1]}/${node} rename ${node}`];
  expect(await heard.next(3)).toEqual([of, twice, twice]);
});

it('nobody in a container can make others hear it', async () => {
  const { host } = machine;
  const name = fresh('true');
  await host.put(name, 'first', '--grant', 'web');
  const other = await machine.inside(runc, { workload: 'web' });
  const heard = await Heard.inotify('fake', VIEWS[1], `${FS}/volume/`);
  // With all that root would need where it may write.
  const capabilities = ['CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE'];
  const fake = async (directory: string): Promise<readonly string[]> => {
    const script = `${NODE}/node ${SUPPORT}/lapsed-faker.ts ${directory} ${name}`;
    return (await inside.sh(script, { ...ROOT, capabilities })).trim().split('\n');
  };
  for (const directory of [...VIEWS, `${FS}/volume`, `${FS}/self`]) {
    const attempts = await fake(directory);
    expect(attempts.length).toBeGreaterThan(10);
    for (const attempt of attempts) expect(attempt, directory).toMatch(/: EROFS$/);
  }
  const writable = `/dev/shm/${fresh('writable')}`;
  await inside.sh(`mkdir ${writable}; echo x >${writable}/${name}`);
  for (const attempt of await fake(writable)) expect(attempt).toMatch(/: done$/);

  await host.rotate(name, 'second');
  expect(await heard.next(4), 'control, and nothing before it').toEqual([
    `${FS}/volume MOVED_FROM ..data_tmp`,
    `${FS}/volume MOVED_TO ..data`,
    `${VIEWS[1]} CLOSE_WRITE ${name}`,
    `${VIEWS[1]} MODIFY ${name}`,
  ]);
  expect(await other.ask('cat', `${FS}/self/${name}`)).toBe('second');
});
