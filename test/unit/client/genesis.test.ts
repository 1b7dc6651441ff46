// A realm's birth: what is sent verifies from root to fleet, the pool's key is recovered by its custodians alone, and a
// genesis that waits on disk is the same when it is read back.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { FIRST_POOL, encodeBeginning, makeGenesis, parseBeginning } from '../../../client/cli/genesis.ts';
import { holdIdentity } from '../../../client/identity/identity.ts';
import { parseJson } from '../../../manifest/json.ts';
import { poolPrivateKey, publicHalf, unwrapPoolKey } from '../../../manifest/realm/pool-key.ts';
import { readFleet } from '../../../manifest/realm/fleet.ts';
import { realmId } from '../../../manifest/realm/realm.ts';
import { parseMetadata } from '../../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { checkThreshold } from '../../../manifest/tuf/keys.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';

const person = (name: string) => holdIdentity(name, randomBytes(64));
const roots = [person('root-1'), person('root-2'), person('root-3')];
const [operator, second, stranger] = [person('operator'), person('second'), person('stranger')];
const online = { snapshot: randomBytes(32).toString('hex'), timestamp: randomBytes(32).toString('hex') };
const expires = Date.parse('2030-01-01T00:00:00Z');
const custodians = [operator, second].map((one) => one.public.decryption);
const genesis = await makeGenesis({ roots, threshold: 2, operator, custodians }, online, 60, expires);
const { root } = trustRoot(genesis.root);

test('two of three sign root and targets; the operator signs the fleet and its hosts', () => {
  const keyids = roots.map((one) => one.public.keyid);
  expect(root.role.roles.root).toMatchObject({ threshold: 2 });
  expect([...root.role.roles.root.keys.keys()]).toEqual(keyids);
  expect([...root.role.roles.targets.keys.keys()]).toEqual(keyids);
  expect(genesis.roles.map(({ name }) => name)).toEqual(['targets', 'fleet', 'fleet-hosts']);
  const [targets, fleet, hosts] = genesis.roles.map(({ metadata }) => parseTargets(metadata));
  const check = (keys: Parameters<typeof checkThreshold>[1], { file }: NonNullable<typeof targets>) =>
    checkThreshold('role', keys, file.signatures, file.canonical);
  check({ ...root.role.roles.targets, threshold: 3 }, targets!);
  check(targets!.role.delegations.get('fleet')!, fleet!);
  check(fleet!.role.delegations.get('fleet-hosts')!, hosts!);
  expect([...fleet!.role.delegations.get('fleet-hosts')!.keys.keys()]).toEqual([operator.public.keyid]);
});

test('the key of the pool is in the copies of the custodians, and nowhere else', async () => {
  const { metadata } = genesis.roles[1]!;
  const { role } = parseTargets(metadata);
  const { raw } = parseMetadata(metadata, 'targets', 1 << 20);
  const fleet = readFleet({ bytes: metadata, sha256: '', raw, role });
  const pool = fleet.pools.get(FIRST_POOL)!;
  expect(pool.epoch).toBe(1);
  const epoch = pool.epochs.get(1)!;
  expect(epoch.custodians.map(({ kid }) => kid)).toEqual([operator.public.kid, second.public.kid]);
  const context = { realm: realmId(root), pool: FIRST_POOL, epoch: 1 };
  const keys = await Promise.all(
    [operator, second].map((one, i) =>
      unwrapPoolKey(epoch.custodians[i]!, (jwe) => one.decrypt(jwe), context, epoch.key),
    ),
  );
  expect(Buffer.from(keys[0]!)).toEqual(Buffer.from(keys[1]!));
  expect(publicHalf(poolPrivateKey(keys[0]!))).toEqual(epoch.key);
  await expect(
    unwrapPoolKey(epoch.custodians[0]!, (jwe) => stranger.decrypt(jwe), context, epoch.key),
  ).rejects.toMatchObject({ code: 'key-wrap-mismatch' });
  const sent = JSON.stringify(
    parseJson(encodeBeginning({ service: { url: 'x' }, genesis, made: [] }), 1 << 24),
  );
  const clear = Buffer.from(keys[0]!);
  for (const spelling of ['hex', 'base64', 'base64url'] as const) {
    expect(sent).not.toContain(clear.toString(spelling));
  }
});

test.for<[string, { url: string; pin?: string }]>([
  ['http', { url: 'http://127.0.0.1:7700' }],
  ['https', { url: 'https://lapse.internal:7700', pin: `sha256:${'A'.repeat(43)}` }],
])('back and forth: %s', ([, service]) => {
  const beginning = { service, genesis, made: ['operator', 'root'] };
  const back = parseBeginning(encodeBeginning(beginning), 'genesis.json');
  expect(back.service).toEqual(service);
  expect(back.made).toEqual(beginning.made);
  expect(Buffer.from(back.genesis.root)).toEqual(Buffer.from(genesis.root));
  expect(back.genesis.lease).toBe(60);
});

test('a torn file: realm-directory-malformed', () => {
  const bytes = encodeBeginning({ service: { url: 'x' }, genesis, made: [] });
  expect(() => parseBeginning(bytes.subarray(0, -10), 'genesis.json')).toThrow(
    expect.objectContaining({ code: 'realm-directory-malformed' }),
  );
});
