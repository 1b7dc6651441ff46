// Two containers on one mount, whose names and attributes the kernel keeps for both: neither learns of the other's view.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ContainerHost, FS } from '../support/container-host.ts';
import type { Inside } from '../support/container-inside.ts';
import { runc } from '../support/container-runc.ts';
import { until } from '../support/lapsed.ts';

const ERRNO = /^E[A-Z]+$/;

/** A caller's own view, by a link, and where the views are: as files, and in the style of Kubernetes. */
const STYLES = [
  { own: `${FS}/self`, all: `${FS}/w` },
  { own: `${FS}/volume`, all: `${FS}/v` },
] as const;

/** For what follows by itself; a busy machine may take its time. */
const SOON = { timeout: 20_000 };

const secretValue = (length = 32): string => randomBytes(length).toString('base64url').slice(0, length);

let names = 0;
/** One that no try before had. */
const fresh = (name: string): string => `${name}-${++names}`;

const sizes = { web: 11, api: 29 } as const;
type Name = keyof typeof sizes;
let machine: ContainerHost;
let web: Inside;
let api: Inside;

beforeAll(async () => {
  machine = await ContainerHost.start();
  for (const name of ['web', 'api'] as const) {
    await machine.host.put(`of-${name}`, secretValue(sizes[name]), '--grant', name);
    await machine.host.put(`both-${name}`, secretValue(sizes[name]), '--grant', name);
    await machine.host.lapse('grant', `payments/both-${name}`, name, '--as', 'both');
  }
  web = await machine.inside(runc, { workload: 'web' });
  api = await machine.inside(runc, { workload: 'api' });
  for (const [name, owner] of pairs()) {
    await until(`both of ${name}`, async () =>
      (await owner.ask('stat', `${FS}/w/${name}/both`)) === 'ENOENT' ? undefined : true,
    );
    // Descriptors 3 and 4, 5 and 6.
    for (const path of STYLES.flatMap(({ all }) => [all, `${all}/${name}`])) await owner.ask('open', path);
  }
});

afterAll(() => machine[Symbol.asyncDispose]());

const pairs = (): [name: Name, owner: Inside, other: Inside][] => [
  ['web', web, api],
  ['api', api, web],
];

/** To the views of `name`, and to the file that only it has. */
function ways(name: Name): [verb: string, path: string][] {
  const views = STYLES.flatMap(({ own, all }, i) =>
    [
      all,
      `${own}/..`,
      `${all}/${name}/..`,
      `/proc/self/fd/${2 * i + 3}`,
      `/proc/self/fd/${2 * i + 4}/..`,
    ].map((directory) => `${directory}/${name}`),
  );
  const files = [...STYLES.map(({ own }) => own), ...views].map((view) => `${view}/of-${name}`);
  return [
    ...views.flatMap((path) => ['stat', 'list'].map((verb): [string, string] => [verb, path])),
    ...files.flatMap((path) => ['stat', 'cat', 'open'].map((verb): [string, string] => [verb, path])),
  ];
}

it("neither finds the other's names: before, right after and while the other looks them up", async () => {
  for (const [name, owner, other] of pairs()) {
    for (const [verb, path] of ways(name)) {
      const what = `${verb} ${path}`;
      expect(await other.ask(verb, path), what).toBe('ENOENT');
      expect(await owner.ask(verb, path), `${what}: control`).not.toMatch(ERRNO);
      expect(await other.ask(verb, path), `${what}, right after its owner`).toBe('ENOENT');
      const asked = Array.from({ length: 10 }, () => [owner.ask(verb, path), other.ask(verb, path)]);
      const answers = await Promise.all(asked.map((both) => Promise.all(both)));
      for (const [mine, theirs] of answers) {
        expect(mine, `${what}: control`).not.toMatch(ERRNO);
        expect(theirs, `${what}, together with its owner`).toBe('ENOENT');
      }
    }
  }
});

it('what is asked by one path is answered for each by its own view, in turns', async () => {
  const sorted = (list: string): string => list.split(' ').sort().join(' ');
  const ask = (inside: Inside): Promise<string[]> =>
    Promise.all([
      ...['self/', 'w', 'v'].map((path) => inside.ask('list', `${FS}/${path}`).then(sorted)),
      ...[3, 4, 5].map((descriptor) => inside.ask('list', `/proc/self/fd/${descriptor}`).then(sorted)),
      ...['self', 'volume'].map((path) => inside.ask('link', `${FS}/${path}`)),
      inside.ask('stat', `${FS}/self/both`),
      inside.ask('cat', `${FS}/volume/both`).then((value) => String(value.length)),
    ]);
  for (let round = 0; round < 50; round++) {
    const answers = await Promise.all([ask(web), ask(api)]);
    for (const [i, [name]] of pairs().entries()) {
      const view = `both of-${name}`;
      const lists = [view, name, name, name, view, name];
      const size = sizes[name];
      expect(answers[i]).toEqual([...lists, `w/${name}`, `v/${name}`, `100400 ${size} 0 0`, String(size)]);
    }
  }
});

it('names that nobody has, and names that the other has, are refused alike', async () => {
  for (const [name, , other] of pairs()) {
    for (const way of [name, `${name}/of-${name}`, `${name}/none`, 'nobody', 'nobody/none']) {
      for (const verb of ['stat', 'list', 'cat', 'link']) {
        for (const { all } of STYLES) {
          expect(await other.ask(verb, `${all}/${way}`), `${verb} ${all}/${way}`).toBe('ENOENT');
        }
      }
    }
  }
});

it('what both see of the file system says nothing of what is in it', async () => {
  const script = `ls -la ${FS}/ | grep -v -e '->'; stat -f ${FS}; stat ${FS} ${FS}/w ${FS}/v`;
  const before = await api.sh(script);
  expect(before, 'control').toMatch(/ w\n[^]*Inodes: Total[^]*Links: /);
  expect(await web.sh(script)).toBe(before);
  const more = fresh('more');
  await machine.host.put(more, secretValue(9000), '--grant', 'web');
  expect(await web.ask('list', `${FS}/self/`), 'control').toContain(more);
  expect(await api.sh(script)).toBe(before);
});

it('a watcher of the shared directories hears which views are opened, and nothing of what is in them', async () => {
  const events = `/dev/shm/${fresh('events')}`;
  const heard = async (): Promise<string[]> => (await api.sh(`cat ${events}`)).split('\n');
  const watched = [FS, ...STYLES.flatMap(({ own, all }) => [all, `${own}/`])].join(' ');
  await api.sh(`: >${events}; inotifywait -q -d -m -o ${events} --format '%w%f' ${watched}`);
  await until('the watch', async () => {
    await api.ask('list', `${FS}/self/`);
    return (await heard()).includes(`${FS}/w/api`) ? true : undefined;
  });

  for (const [verb, path] of ways('web')) await web.ask(verb, path);
  await machine.host.rotate('of-web', secretValue(12));
  const fleeting = fresh('fleeting');
  await machine.host.put(fleeting, secretValue(), '--grant', 'web');
  await machine.host.revoke(fleeting);
  await api.ask('cat', `${FS}/self/of-api`);
  await expect.poll(heard, SOON).toContain(`${FS}/self/of-api`);
  // A limit (docs/threat-model.md): the kernel tells a directory's watchers which of its entries is opened.
  const foreign = (await heard()).filter((path) => /web|fleeting/.test(path));
  expect([...new Set(foreign)].sort()).toEqual(STYLES.map(({ all }) => `${all}/web`).sort());
});
