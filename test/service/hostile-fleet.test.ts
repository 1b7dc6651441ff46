// One test per attack on what the fleet, the hosts and the revokers publish, each named after it; like hostile-publish.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { FLEET_HOSTS } from '../../manifest/realm/realm.ts';
import type { Publish } from '../../manifest/realm/exchange.ts';
import { keyJson } from '../../manifest/realm/recipient.ts';
import { object } from '../../manifest/shape.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Reply, TestClient, TestService } from '../support/realm-service.ts';
import { makeHost, makePool, makeSigner, merged } from '../support/realm.ts';
import type { TestHost, TestRealm } from '../support/realm.ts';

let service: TestService;
let client: TestClient;
let realm: TestRealm;
let host: TestHost;
let before: Uint8Array;

beforeEach(async () => {
  ({ service, client, realm, host } = await startPayments());
  before = await client.file('metadata/timestamp.json');
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
});

async function accept(publish: Publish): Promise<void> {
  expect(await client.publish(publish)).toMatchObject({ status: 200 });
  before = await client.file('metadata/timestamp.json');
}

async function expectRefused(reply: Promise<Reply>, code: string, status = 422): Promise<void> {
  expect(await reply).toMatchObject({ status, body: { code } });
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
}

const hostTargets = (): JsonObject => realm.targets(FLEET_HOSTS);

describe('fleet', () => {
  test('an epoch that goes back', async () => {
    const pools = realm.role('fleet').raw['pools']!;
    await accept(await realm.epoch());
    await expectRefused(client.publish(realm.draft('fleet', { pools })), 'epoch-rollback');
  });

  test('a removal that is forgotten', async () => {
    await accept(await realm.remove('web-1'));
    await expectRefused(client.publish(realm.draft('fleet', { removals: [] })), 'removal-vanished');
  });

  test('no delegation of fleet-hosts', async () => {
    const delegations = { keys: {}, roles: [] };
    await expectRefused(client.publish(realm.draft('fleet', { delegations })), 'fleet-malformed');
  });

  test('a file of its own', async () => {
    const targets = hostTargets();
    await expectRefused(client.publish(realm.draft('fleet', { targets })), 'fleet-malformed');
  });

  test('signed by a namespace', async () => {
    const forged = realm.draft('fleet', {}, { signer: realm.signer('payments') });
    await expectRefused(client.publish(forged), 'signature-threshold', 403);
  });

  test('whose key changed must be signed anew before its hosts are', async () => {
    const heir = makeSigner();
    const old = object(realm.role('targets').raw['delegations'], 'delegations');
    const roles = (old['roles'] as readonly JsonObject[]).map((role) =>
      role['name'] === 'fleet' ? { ...role, keyids: [heir.keyid] } : role,
    );
    const key = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: heir.publicHex } };
    const keys = { ...object(old['keys'], 'keys'), [heir.keyid]: key };
    await accept(realm.adopt(realm.draft('targets', { delegations: { keys, roles } })));
    await expectRefused(client.publish(realm.draft(FLEET_HOSTS, {})), 'metadata-missing');
    await accept(merged(realm.draft('fleet', {}, { signer: heir }), realm.draft(FLEET_HOSTS, {})));
  });
});

describe('fleet-hosts', () => {
  test('a host that vanishes without a removal', async () => {
    await expectRefused(client.publish(realm.draft(FLEET_HOSTS, { targets: {} })), 'host-vanished');
  });

  test('a host whose signing key is swapped', async () => {
    const path = `${FLEET_HOSTS}/web-1`;
    const record = object(hostTargets()[path], path);
    const custom = object(record['custom'], 'custom');
    const signing = keyJson(makeHost(realm.id, 'web-1').signing);
    const targets = { [path]: { ...record, custom: { ...custom, signing } } };
    await expectRefused(client.publish(realm.draft(FLEET_HOSTS, { targets })), 'host-vanished');
  });

  test('a name is given to another machine only after the removal of the first', async () => {
    const { publish } = await realm.join('web-1');
    await expectRefused(client.publish(publish), 'host-vanished');
  });

  test('a removed host leaves in the publish of its removal', async () => {
    const publish = await realm.remove('web-1');
    const withoutFleet = { ...publish, roles: publish.roles.filter(({ name }) => name !== 'fleet') };
    await expectRefused(client.publish(withoutFleet), 'host-vanished');
    await accept(publish);
  });

  test('a keyring that did not come', async () => {
    const { publish } = await realm.join('web-2');
    await expectRefused(client.publish({ ...publish, files: publish.files.slice(1) }), 'file-missing');
  });

  test('a keyring that is stored already need not come again', async () => {
    await accept(realm.draft(FLEET_HOSTS, {}));
  });

  test('a keyring of nobody', async () => {
    const { publish } = await realm.join('web-2');
    const files = [...publish.files, Buffer.from('{"keys":[]}')];
    await expectRefused(client.publish({ ...publish, files }), 'file-unlisted');
  });

  test.each([
    ['payments/db@1', 'path-outside-role'],
    ['fleet-hosts/../x', 'name-invalid'],
    ['fleet-hosts/UPPER', 'name-invalid'],
  ])('a record at %s', async (path, code) => {
    const record = hostTargets()[`${FLEET_HOSTS}/web-1`]!;
    const targets = { ...hostTargets(), [path]: record };
    await expectRefused(client.publish(realm.draft(FLEET_HOSTS, { targets })), code);
  });

  test('signed by targets instead of the fleet', async () => {
    const forged = realm.draft(FLEET_HOSTS, {}, { signer: realm.signer('targets') });
    await expectRefused(client.publish(forged), 'signature-threshold', 403);
  });

  test('a keyring goes with the record that lists it', async () => {
    const [path] = Object.keys(hostTargets());
    const { sha256 } = object(object(hostTargets()[path!], '')['hashes'], '');
    const key = `targets/${FLEET_HOSTS}/${sha256 as string}.web-1`;
    expect((await client.get(key)).status).toBe(200);
    await accept(await realm.epoch());
    expect((await client.get(key)).status).toBe(404);
  });
});

describe('recipients', () => {
  test('the epoch before', async () => {
    const old = realm.pool();
    await accept(await realm.epoch());
    const publish = await realm.put('payments', 'db', { recipients: [old, realm.person.recipient] });
    await expectRefused(client.publish(publish), 'epoch-superseded');
  });

  test('the epoch before beside the current one', async () => {
    const old = realm.pool();
    await accept(await realm.epoch());
    const publish = await realm.put('payments', 'db', { recipients: [old, realm.pool()] });
    await expectRefused(client.publish(publish), 'epoch-superseded');
  });

  test('a pool that the policy does not allow', async () => {
    await accept(await realm.epoch('spare'));
    const publish = await realm.put('payments', 'db', { recipients: [realm.pool(), realm.pool('spare')] });
    await expectRefused(client.publish(publish), 'epoch-superseded');
  });

  test('a key of nobody under the number of the current epoch', async () => {
    const publish = await realm.put('payments', 'db', { recipients: [makePool()] });
    await expectRefused(client.publish(publish), 'epoch-superseded');
  });

  test('of what was published before an epoch nothing is asked', async () => {
    await accept(await realm.epoch());
    await accept(realm.draft('payments', {}));
  });

  test('a removal and a put that crossed it: the put is refused', async () => {
    const publish = await realm.put('payments', 'db');
    await accept(await realm.remove(host.name));
    await expectRefused(client.publish(publish), 'epoch-superseded');
  });
});

describe('revoker', () => {
  test('a floor above the newest version', async () => {
    await expectRefused(client.publish(realm.takeBack('payments', 'db', 2)), 'floor-ahead');
  });

  test('a floor of what was never there', async () => {
    await expectRefused(client.publish(realm.takeBack('payments', 'none', 1)), 'floor-ahead');
  });

  test('a single version, or a grant, above the newest', async () => {
    for (const change of [{ revoked: [2] }, { grants: { web: 2 } }]) {
      const withdrawals = { db: { revokedThrough: 0, revoked: [], grants: {}, ...change } };
      await expectRefused(client.publish(realm.draft('payments-revoker', { withdrawals })), 'floor-ahead');
    }
  });

  test('a floor that sinks', async () => {
    await accept(realm.takeBack('payments', 'db', 1));
    const withdrawals = { db: { revokedThrough: 0, revoked: [], grants: {} } };
    await expectRefused(client.publish(realm.draft('payments-revoker', { withdrawals })), 'floor-sank');
    await expectRefused(client.publish(realm.draft('payments-revoker', { withdrawals: {} })), 'floor-sank');
  });

  test('a file, a delegation', async () => {
    const targets = realm.targets('payments');
    const withdrawals = {};
    const draft = realm.draft('payments-revoker', { targets, withdrawals });
    await expectRefused(client.publish(draft), 'revoker-exceeds');
    const delegations = object(realm.role('targets').raw['delegations'], 'delegations');
    const next = realm.draft('payments-revoker', { delegations, withdrawals });
    await expectRefused(client.publish(next), 'revoker-exceeds');
  });

  test('signed by the namespace, and the namespace by its revoker', async () => {
    const [one, two] = ['payments', 'payments-revoker'].map((name) => realm.signer(name));
    const withdrawals = {};
    const first = realm.draft('payments-revoker', { withdrawals }, { signer: one! });
    await expectRefused(client.publish(first), 'signature-threshold', 403);
    await expectRefused(
      client.publish(realm.draft('payments', {}, { signer: two! })),
      'signature-threshold',
      403,
    );
  });

  test('a namespace that lists what its revoker took back', async () => {
    await accept(realm.takeBack('payments', 'db', 1));
    await expectRefused(client.publish(realm.draft('payments', {})), 'floor-behind');
    await accept(realm.revoke('payments', 'db', 1));
    await accept(await realm.put('payments', 'db'));
  });
});
