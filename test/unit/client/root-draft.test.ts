// A next root in a file, between people: what comes back is what was written, and nobody is shown, or signs, anything else
// than the next root of this realm.
import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { makeGenesis } from '../../../client/cli/genesis.ts';
import { RootDraft } from '../../../client/cli/root-draft.ts';
import { rootDifference } from '../../../client/cli/root-difference.ts';
import { holdIdentity } from '../../../client/identity/identity.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { realmId } from '../../../manifest/realm/realm.ts';
import { trustRoot, updateRoot } from '../../../manifest/tuf/trusted-set.ts';
import { nextState } from '../../../service/online-roles.ts';
import { makeSigner } from '../../support/realm.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const YEAR = 365 * 24 * 3600_000;
const person = (name: string) => holdIdentity(name, randomBytes(64));
const roots = [person('root-1'), person('root-2'), person('root-3')] as const;
const [operator, heir] = [person('operator'), person('heir')];
const online = { snapshot: makeSigner(), timestamp: makeSigner() };

let set: ReturnType<typeof nextState>;
let realm: ReturnType<typeof realmId>;

beforeAll(async () => {
  const founders = { roots, threshold: 2, operator, custodians: [operator.public.decryption] };
  const hexes = { snapshot: online.snapshot.publicHex, timestamp: online.timestamp.publicHex };
  const genesis = await makeGenesis(founders, hexes, 60, NOW + YEAR);
  const files = genesis.roles.map(({ name, metadata }) => ({ name, version: 1, bytes: metadata }));
  set = nextState(trustRoot(genesis.root), online, files, 60, NOW);
  realm = realmId(set.root);
});

/** Root 3's key is lost, and the heir comes. */
function make(): RootDraft {
  const people = {
    remove: [roots[2].public.keyid],
    add: [heir.public.signing],
    threshold: 2,
  };
  return RootDraft.make(realm, set, { root: people, targets: people }, NOW + 1000);
}

/** The same file with other signed members of root. */
function altered(draft: RootDraft, change: (signed: JsonObject) => JsonObject): Uint8Array {
  const file = JSON.parse(Buffer.from(draft.encode()).toString()) as { root: string };
  const root = JSON.parse(Buffer.from(file.root, 'base64').toString()) as { signed: JsonObject };
  const next = Buffer.from(JSON.stringify({ ...root, signed: change(root.signed) })).toString('base64');
  return Buffer.from(JSON.stringify({ ...file, root: next }));
}

test('goes from one to the other, until those of before and after are enough', async () => {
  const draft = make();
  const names = new Map([[heir.public.keyid, 'heir']]);
  expect(rootDifference(draft, names)).toEqual([
    'Root 1 becomes root 2:',
    `  root: - ${roots[2].public.keyid.slice(0, 16)}`,
    `  root: + ${heir.public.keyid.slice(0, 16)} (heir)`,
    `  targets: - ${roots[2].public.keyid.slice(0, 16)}`,
    `  targets: + ${heir.public.keyid.slice(0, 16)} (heir)`,
    '  expires 2027-01-31T12:00:01Z, before 2027-01-31T12:00:00Z',
  ]);
  await draft.sign('root', roots[0]);
  const second = RootDraft.parse(draft.encode(), realm, set);
  expect(second.demands.map((demand) => second.lack(demand))).toEqual([1, 1]);
  expect(() => updateRoot(set, second.change().root)).toThrow('signature');
  await second.sign('root', heir);
  expect(second.demands.map((demand) => second.lack(demand))).toEqual([1, 0]);
  await second.sign('root', roots[1]);
  expect(second.demands.map((demand) => second.lack(demand))).toEqual([0, 0]);
  expect(updateRoot(set, second.change().root).root.role.version).toBe(2);
});

test('targets goes along only when its new keys have not signed it', () => {
  expect(make().hasTargets).toBe(false);
  const alone = {
    remove: roots.map(({ public: { keyid } }) => keyid),
    add: [heir.public.signing],
    threshold: 1,
  };
  const draft = RootDraft.make(realm, set, { root: alone, targets: alone }, NOW);
  expect([draft.hasTargets, draft.demands.map((demand) => draft.lack(demand))]).toEqual([true, [2, 1, 1]]);
});

test('every signed member that differs is shown', () => {
  const hide = (signed: JsonObject): JsonObject => {
    const { targets, ...roles } = signed['roles'] as Record<string, JsonObject>;
    const keyids = [...(targets!['keyids'] as readonly string[]), 'cd'.repeat(32)];
    const more = { ...roles, targets: { ...targets, keyids }, mirrors: {} };
    return { ...signed, roles: more, hidden: { in: 'plain sight' } };
  };
  const lines = rootDifference(RootDraft.parse(altered(make(), hide), realm, set), new Map());
  expect(lines).toContain('  hidden is another');
  expect(lines).toContain('  roles.mirrors is another');
  // A key that is not there can never sign, but it is signed for.
  expect(lines).toContain('  targets: + cdcdcdcdcdcdcdcd');
});

test.for<[string, () => Promise<Uint8Array> | Uint8Array]>([
  ['no JSON', () => Buffer.from('root')],
  ['another realm', () => Buffer.from(JSON.stringify({ ...decoded(make()), realm: 'ab'.repeat(32) }))],
  ['a later version', () => altered(make(), (signed) => ({ ...signed, version: 3 }))],
  [
    'a root without consistent snapshots',
    () => altered(make(), (signed) => ({ ...signed, consistent_snapshot: false })),
  ],
  ["a key under another's id", () => altered(make(), withSwappedKey)],
  ['a signature of a stranger', async () => signedBy(person('stranger'))],
  [
    'what was altered after it was signed',
    async () => altered(await signed(), (raw) => ({ ...raw, more: 1 })),
  ],
  ['another role beside it', () => withUpload('fleet', {})],
  [
    'another targets than the present one',
    () => withUpload('targets', { policies: { more: {} }, version: 2 }),
  ],
])('%s: refused', async ([, bytes]) => {
  const file = await bytes();
  expect(() => RootDraft.parse(file, realm, set)).toThrow(
    expect.objectContaining({ code: 'root-file-malformed' }),
  );
});

const decoded = (draft: RootDraft) => JSON.parse(Buffer.from(draft.encode()).toString()) as JsonObject;

async function signedBy(stranger: typeof operator): Promise<Uint8Array> {
  const draft = make();
  await draft.sign('root', stranger);
  return draft.encode();
}

async function signed(): Promise<RootDraft> {
  const draft = make();
  await draft.sign('root', roots[0]);
  return draft;
}

function withSwappedKey(raw: JsonObject): JsonObject {
  const keys = raw['keys'] as Record<string, JsonObject>;
  const [first = '', second = ''] = Object.keys(keys);
  return { ...raw, keys: { ...keys, [first]: keys[second]! } };
}

function withUpload(name: string, change: JsonObject): Uint8Array {
  const targets = { ...set.targets.get('targets')!.raw, ...change };
  const metadata = Buffer.from(JSON.stringify({ signed: targets, signatures: [] })).toString('base64');
  return Buffer.from(JSON.stringify({ ...decoded(make()), roles: [{ name, metadata }] }));
}
