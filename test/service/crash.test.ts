// The real service killed in the middle of 200 publishes, 20 times. Each publish changes two roles and an envelope. After
// each restart the realm verifies, is the one before or the one after and never between, and lacks nothing that was
// acknowledged.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { parseNamespace } from '../../manifest/names.ts';
import type { Publish } from '../../manifest/realm/exchange.ts';
import { readSecrets } from '../../manifest/realm/secret.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';
import { TestClient } from '../support/realm-service.ts';
import { TestRealm, merged } from '../support/realm.ts';
import type { TestHost } from '../support/realm.ts';

const KILLS = 20;
const PUBLISHES_PER_KILL = 10;
const program = join(import.meta.dirname, '../../bin/lapse-service');

const started = new Set<ChildProcessWithoutNullStreams>();

afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
});

interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly client: TestClient;
}

async function start(data: string): Promise<Running> {
  const child = spawn(program, ['--data', data, '--listen', '127.0.0.1:0']);
  started.add(child);
  const ended = text(child.stderr).then((why) => Promise.reject(new Error(`it does not start: ${why}`)));
  const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
  ended.catch(() => undefined);
  const [, url = '', pin = ''] = /on (\S+) pin (\S+)\n$/.exec(line.toString()) ?? [];
  return { child, client: new TestClient({ url, pin }) };
}

/** What is stored: it verifies, both roles are of one publish, and every envelope that is listed is there. */
async function storedVersion({ client }: Running, realm: TestRealm, host: TestHost): Promise<number> {
  const set = await client.verify(realm.genesis.root, Date.now(), ['payments', 'billing']);
  const [payments, billing] = ['payments', 'billing'].map((name) => set.targets.get(name)!.role);
  expect(payments!.version).toBe(billing!.version);
  const secrets = readSecrets(payments!, parseNamespace('payments'));
  for (const live of [...secrets.values()].flatMap(liveVersions)) {
    // Of a moment after this start of the service, for it takes no older tokens.
    const authorization = `Bearer ${await host.token(Date.now() + 5000)}`;
    const path = `targets/payments/${live.sha256}.db@${live.version}`;
    expect((await client.get(path, { authorization })).status).toBe(200);
  }
  return payments!.version;
}

test(`${KILLS} kills in the middle of ${KILLS * PUBLISHES_PER_KILL} publishes`, async () => {
  const data = mkdtempSync(join(tmpdir(), 'lapse-crash-'));
  let running = await start(data);
  const realm = await TestRealm.make(await running.client.onlineKeys());
  await running.client.create(realm.genesis);
  const { host, publish: join1 } = await realm.join('web-1');
  const next = async (): Promise<Publish> =>
    merged(await realm.put('payments', 'db', { overlapSeconds: 0 }), realm.adopt(realm.draft('billing', {})));
  const namespaces = [realm.delegate('payments'), realm.delegate('billing')];
  for (const publish of [join1, ...namespaces, await next()]) {
    expect(await running.client.publish(publish)).toMatchObject({ status: 200 });
  }
  let acknowledged = 1;
  let pending = await next();
  const outcomes = { before: 0, after: 0 };
  let slowest = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    for (let i = 1; i < PUBLISHES_PER_KILL; i++) {
      const begun = performance.now();
      expect(await running.client.publish(pending)).toMatchObject({ status: 200 });
      slowest = Math.max(slowest * 0.8, performance.now() - begun);
      acknowledged++;
      pending = await next();
    }
    const reply = running.client.publish(pending).catch(() => undefined);
    await sleep((1.5 * slowest * kill) / KILLS);
    running.child.kill('SIGKILL');
    await once(running.child, 'close');
    if ((await reply)?.status === 200) acknowledged++;
    running = await start(data);
    const stored = await storedVersion(running, realm, host);
    const sent = realm.role('billing').role.version;
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect([sent - 1, sent]).toContain(stored);
    outcomes[stored === sent ? 'after' : 'before']++;
    acknowledged = stored;
    if (stored === sent) pending = await next();
  }
  // Kills that all come too early, or all too late, would prove nothing.
  expect(Math.min(outcomes.before, outcomes.after)).toBeGreaterThan(0);
  running.child.kill();
  await once(running.child, 'close');
  rmSync(data, { recursive: true });
}, 120_000);
