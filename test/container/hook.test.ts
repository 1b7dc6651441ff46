// The OCI hook in real runc containers: who is registered, who is not, and what happens without lapsed.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { Container } from '../../demo/container.ts';
import { fnv1a } from '../../demo/records.ts';
import { Host, until } from '../support/lapsed.ts';

const FS = '/run/lapse/fs';
const clock = systemClock();

let host: Host;
const values = new Map(['web', 'api'].map((name) => [name, randomBytes(24).toString('base64url')] as const));
const containers: Container[] = [];

beforeAll(async () => {
  host = await Host.start();
  for (const [name, value] of values) await host.put(`for-${name}`, value, '--grant', name);
});

afterEach(() => Promise.all(containers.splice(0).map((container) => container.stop())));
afterAll(() => host[Symbol.asyncDispose]());

/** With an annotation, unless `workload` is undefined. */
async function start(workload: string | undefined, ...command: readonly string[]): Promise<Container> {
  const id = `lapse-hook-${process.pid}-${randomBytes(4).toString('hex')}`;
  const options = { id, command, ...(workload !== undefined && { workload }) };
  const container = await Container.start(host.places, clock, options);
  containers.push(container);
  return container;
}

/** Runs a script to its end. */
async function run(workload: string | undefined, script: string) {
  const container = await start(workload, '/bin/sh', '-c', script);
  const code = await container.ended();
  return { code, out: container.output.toString(), errors: container.errors };
}

const reader = (name: string): readonly string[] => ['/bin/reader', `${FS}/self/for-${name}`, '1000'];

async function workloadOf(container: Container): Promise<string | undefined> {
  return (await host.status()).workloads.find(({ id }) => id === container.id)?.workload;
}

it('a container without the annotation is not registered, and sees no self', async () => {
  const script = `ls ${FS}; cat ${FS}/self/for-web; cat ${FS}/w/web/for-web`;
  const { out, errors } = await run(undefined, script);
  expect(out).toBe('v\nw\n');
  expect(errors).toMatch(/self\/for-web.*No such file/);
  expect(errors).toMatch(/w\/web\/for-web.*Permission denied/);
  expect((await run('web', script)).out, 'control: with the annotation').toBe(
    `self\nv\nvolume\nw\n${values.get('web')}${values.get('web')}`,
  );

  const container = await start(undefined, ...reader('web'));
  await container.seen('ENOENT', ({ result }) => result === 2);
  expect(await workloadOf(container)).toBeUndefined();
});

it('two containers of different workloads each see their own view, and nothing of the other', async () => {
  const script = `ls ${FS}/w ${FS}/self/; cat ${FS}/self/*; cat ${FS}/w/web/for-web ${FS}/w/api/for-api`;
  const [web, api] = await Promise.all(['web', 'api'].map((name) => run(name, script)));
  for (const [run, mine, other] of [
    [web, 'web', 'api'],
    [api, 'api', 'web'],
  ] as const) {
    const value = values.get(mine);
    expect(run?.out).toBe(`${FS}/self/:\nfor-${mine}\n\n${FS}/w:\n${mine}\n${value}${value}`);
    expect(run?.errors).toMatch(new RegExp(`w/${other}/for-${other}.*No such file`));
  }
});

it('a container is registered while it runs, and unregistered after its end', async () => {
  const container = await start('web', ...reader('web'));
  await container.seen('its value', ({ hash }) => hash === fnv1a(Buffer.from(values.get('web') ?? '')));
  expect(await workloadOf(container)).toBe('web');
  await container.stop();
  await until('its end', async () => ((await workloadOf(container)) === undefined ? true : undefined));
});

it('while lapsed is stopped a container of ours does not start, and says why; others do', async () => {
  await host.lapsed.end();
  try {
    mkdirSync(host.mount, { recursive: true });
    const ours = await run('web', 'echo started');
    expect(ours.code).not.toBe(0);
    expect(ours.out).toBe('');
    expect(ours.errors).toMatch(/lapse-oci-hook: lapsed does not answer .*\[control-unavailable\]/);
    expect(await run(undefined, 'echo started')).toMatchObject({ code: 0, out: 'started\n' });
  } finally {
    await host.startLapsed();
  }
  expect(await run('web', 'echo started'), 'control').toMatchObject({ code: 0, out: 'started\n' });
});

it('a workload that lapsed refuses does not start', async () => {
  const { code, errors } = await run('not a name', 'echo started');
  expect(code).not.toBe(0);
  expect(errors).toMatch(/lapsed refused: .*name-invalid/);
});
