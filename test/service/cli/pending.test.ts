// What two people signed on two machines is read by a host of the pool, and not before; and a service that shows one change
// under the id of another gets no signature.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../client/clock.ts';
import { join as joinRealm } from '../../../daemon/host/join.ts';
import type { HostName } from '../../../manifest/names.ts';
import { openAll } from '../../support/cli-host.ts';
import { Stage } from '../../support/cli-stage.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.make();
  await stage.run('lapse init --service $URL --no-passphrase');
  const { realm } = JSON.parse(await stage.run('lapse --json status')) as { realm: string };
  await stage.run(`lapse --realm second follow ${realm} --service $URL --as bob --no-passphrase`);
  await stage.ask(
    `namespace add payments --signer operator --signer ${await stage.run('lapse --realm second identity show bob')} --threshold 2`,
  );
  writeFileSync(join(stage.directory, 'value'), 'first-horse');
});

afterEach(() => stage[Symbol.asyncDispose]());

/** The ids of what waits, as the service lists it. */
async function waiting(): Promise<readonly string[]> {
  const answer = await fetch(`${stage.env['URL']}/v1/pending`);
  const { pending } = (await answer.json()) as { pending: readonly { id: string }[] };
  return pending.map(({ id }) => id);
}

test(
  'a host reads it once both have signed, and who is shown another change does not',
  { timeout: 120_000 },
  async () => {
    const state = join(stage.directory, 'web-1');
    const options = { state, name: 'web-1' as HostName, patienceMs: 0, clock: systemClock() };
    await joinRealm(Buffer.from(await stage.ask('host invite')), { ...options, onAsked: () => undefined });
    await stage.ask('host approve --yes');
    for (const name of ['db', 'other']) {
      expect(await stage.ask(`secret put payments/${name} --file value`)).toMatch(
        /lapse sign [0-9a-f]{12} \[signatures-missing\]/,
      );
    }
    expect([...(await openAll(state)).keys()]).toEqual([]);
    const [db, other] = await waiting();
    expect(await signBehindALiar(db!, other!)).toContain('[pending-mismatch]');
    expect(await waiting()).toEqual([db, other]);
    expect(await stage.run(`lapse --realm second sign ${db} --yes --no-wait`)).toContain(
      'the change is published',
    );
    expect([...(await openAll(state))].map(([path, value]) => [path, value?.toString()])).toEqual([
      ['payments/db@1', 'first-horse'],
    ]);
  },
);

/** What Bob's machine says to one change when the service gives it another for it. */
async function signBehindALiar(id: string, given: string): Promise<string> {
  const liar = createServer((asked, answer) => {
    const url = asked.url?.replace(`pending/${id}`, `pending/${given}`);
    fetch(`${stage.env['URL']}${url}`)
      .then(async (got) => answer.writeHead(got.status).end(await got.bytes()))
      .catch(() => answer.destroy());
  });
  liar.listen(0, '127.0.0.1');
  await once(liar, 'listening');
  const file = join(stage.directory, 'second/realm.json');
  const { port } = liar.address() as AddressInfo;
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, before.replace(stage.env['URL']!, `http://127.0.0.1:${port}`));
  const said = await stage.run(`lapse --realm second sign ${id} --yes`);
  writeFileSync(file, before);
  liar.closeAllConnections();
  liar.close();
  return said;
}
