// `lapse host remove` that was broken off, or met a realm that somebody else left half way: run again, it completes. A proxy
// between command and service loses the publish, or its answer; the half-way states are signed here.
import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Context } from '../../../client/cli/command.ts';
import { Identities } from '../../../client/cli/identities.ts';
import { Output } from '../../../client/cli/output.ts';
import { Passphrases } from '../../../client/cli/passphrase.ts';
import { makeEpoch } from '../../../client/cli/pool-keys.ts';
import { RealmDirectory } from '../../../client/cli/realm-directory.ts';
import { Session, targetsOf } from '../../../client/cli/session.ts';
import type { RoleEdit } from '../../../client/cli/session.ts';
import { Stopwatch } from '../../../client/cli/stopwatch.ts';
import { systemClock } from '../../../client/clock.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { parsePoolName } from '../../../manifest/names.ts';
import type { HostName } from '../../../manifest/names.ts';
import { withEpoch, withRemoval } from '../../../manifest/realm/fleet.ts';
import { withoutHost } from '../../../manifest/realm/hosts.ts';
import { FLEET, FLEET_HOSTS } from '../../../manifest/realm/realm.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import { join as joinRealm } from '../../../daemon/host/join.ts';
import { openAll } from '../../support/cli-host.ts';
import { Stage } from '../../support/cli-stage.ts';

const HOST = 'web-1' as HostName;
const POOL = parsePoolName('default');
const clock = systemClock();

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.make();
  await stage.run('lapse init --service $URL --no-passphrase');
  await stage.ask('namespace add payments');
  for (const name of ['web-1', 'web-2']) {
    const options = { state: join(stage.directory, name), name: name as HostName, patienceMs: 0, clock };
    await joinRealm(Buffer.from(await stage.ask('host invite')), { ...options, onAsked: () => undefined });
    await stage.ask('host approve --yes');
  }
  writeFileSync(join(stage.directory, 'value'), 'first-horse');
  await stage.ask('secret put payments/db --file value --no-wait');
});

afterEach(() => stage[Symbol.asyncDispose]());

async function session(): Promise<Session> {
  const directory = new RealmDirectory(join(stage.directory, 'operator'));
  const identities = new Identities(directory, [], new Passphrases(undefined, clock), clock);
  const { signal } = new AbortController();
  const context: Context = {
    clock,
    unbroken: clock,
    output: new Output(true),
    directory,
    identities,
    input: 'command',
    signal,
  };
  return Session.open(context);
}

/** The members of `fleet` that say that the host is removed. */
function removal({ state }: Session): JsonObject {
  const { kid } = state.hosts.get(HOST)!;
  return withRemoval(currentRole(state.set, FLEET)!.raw, { host: HOST, kid, at: clock.now() });
}

async function nextEpoch({ state, updater, fleet }: Session): Promise<JsonObject> {
  const { epoch } = await makeEpoch(updater.realm, POOL, 2, fleet.custodians);
  return withEpoch(currentRole(state.set, FLEET)!.raw, POOL, epoch);
}

/** What is expected of a realm from which the host is gone, whatever way it went. */
async function expectGone(): Promise<void> {
  const { state, fleet } = await session();
  expect([...state.hosts.keys()]).toEqual(['web-2']);
  expect(fleet.removals.map(({ host }) => host)).toEqual([HOST]);
  expect(fleet.pools.get(POOL)!.epoch).toBeGreaterThan(1);
  await stage.ask('secret put payments/new --file value --no-wait');
  const opened = await openAll(join(stage.directory, 'web-2'));
  expect([...opened].map(([path, value]) => [path, value?.toString()])).toEqual([
    ['payments/db@1', 'first-horse'],
    ['payments/new@1', 'first-horse'],
  ]);
  await expect(openAll(join(stage.directory, 'web-1'))).rejects.toMatchObject({ code: 'token-refused' });
  expect(await stage.ask(`host remove ${HOST} --yes`)).toMatch(
    /^web-1 is removed already\.[^]*payments\/db@1$/,
  );
}

test.for<[string, (session: Session) => Promise<readonly RoleEdit[]>]>([
  [
    'it was listed as removed, and nothing else',
    async (at) => Promise.resolve([{ role: FLEET, change: removal(at) }]),
  ],
  [
    'it was listed as removed, the pool has its next key, and no member has that',
    async (at) => [{ role: FLEET, change: { ...removal(at), ...(await nextEpoch(at)) } }],
  ],
])('%s', { timeout: 90_000 }, async ([, edits]) => {
  const at = await session();
  const roles = await edits(at);
  await at.publish(new Stopwatch(clock), () => ({ roles, files: [] }));
  expect(await stage.ask(`host remove ${HOST} --yes`)).toMatch(
    /^web-1 is removed\. New keys for default: 1 member\./,
  );
  await expectGone();
});

test('nobody can take its record away without saying that it is removed', async () => {
  const at = await session();
  const targets = withoutHost(targetsOf(at.state, FLEET_HOSTS), HOST);
  const edit = { roles: [{ role: FLEET_HOSTS, change: { targets } }], files: [] };
  await expect(at.publish(new Stopwatch(clock), () => edit)).rejects.toMatchObject({
    reason: 'host-vanished',
  });
});

test.for(['lost on the way', 'done, and its answer lost'])(
  'the publish is %s',
  { timeout: 90_000 },
  async (fate) => {
    const proxy = createServer((asked, answer) => void pass(asked, answer));
    async function pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
      const body = await buffer(asked);
      const isPublish = asked.method === 'POST';
      if (isPublish && fate === 'lost on the way') return void answer.destroy();
      const { method, url, headers } = asked;
      const forwarded = request(new URL(url!, stage.env['URL']), { method: method!, headers });
      forwarded.end(body);
      const [got] = (await once(forwarded, 'response')) as [IncomingMessage];
      const content = await buffer(got);
      if (isPublish) return void answer.destroy();
      answer.writeHead(got.statusCode!, got.headers).end(content);
    }
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const file = join(stage.directory, 'operator/realm.json');
    const before = readFileSync(file, 'utf8');
    const { port } = proxy.address() as AddressInfo;
    writeFileSync(file, before.replace(stage.env['URL']!, `http://127.0.0.1:${port}`));
    expect(await stage.ask(`host remove ${HOST} --yes`)).toContain('[service-unreachable]');
    writeFileSync(file, before);
    proxy.closeAllConnections();
    proxy.close();
    const again = await stage.ask(`host remove ${HOST} --yes`);
    expect(again).toMatch(
      fate === 'lost on the way' ? /^web-1 is removed\. New keys/ : /^web-1 is removed already\./,
    );
    expect(again).toMatch(/payments\/db@1$/);
    await expectGone();
  },
);
