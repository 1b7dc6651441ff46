// What a client says of a change before anybody signs it: it is read like what is published, against the same past, and the
// trusted state does not move for it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fleetLines, hostLines } from '../../../client/cli/diff/fleet.ts';
import { secretLines } from '../../../client/cli/diff/secrets.ts';
import { unknownLines } from '../../../client/cli/diff/members.ts';
import { peopleLines } from '../../../client/cli/diff/people.ts';
import type { RealmState } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import type { SecretName } from '../../../manifest/names.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import type { Publish } from '../../../manifest/realm/exchange.ts';
import { asVerified, proposalId, readProposal, withMore } from '../../../manifest/realm/proposal.ts';
import { namespaceTerms, redelegateNamespace } from '../../../manifest/realm/realm.ts';
import { object } from '../../../manifest/shape.ts';
import { makePerson, makeSigner, merged } from '../../support/realm.ts';
import type { TestRealm, TestSigner } from '../../support/realm.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryService } from './memory-service.ts';

const NAMESPACE = parseNamespace('payments');
const DB = 'db' as SecretName;

let directory: string;
let clock: ManualClock;
let service: MemoryService;
let realm: TestRealm;
let updater: Updater;
let bob: TestSigner;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-imagined-'));
  clock = new ManualClock();
  service = await MemoryService.start(clock);
  ({ realm } = service);
  bob = makeSigner();
  service.put(realm.adopt(redelegated([realm.signer('payments'), bob], 2)));
  updater = await Updater.open({
    anchor: realm.genesis.root,
    storeFor: (id) => new TrustStore(directory, id),
    transport: service,
    clock,
  });
  // The second signature is not there yet; the service in memory asks for none.
  service.put(realm.adopt(redelegated([realm.signer('payments'), bob], 1)));
  await updater.refresh();
});

afterEach(() => rmSync(directory, { recursive: true }));

function redelegated(signers: readonly TestSigner[], threshold: number): Publish {
  const targets = realm.role('targets');
  const keys = signers.map(({ publicHex }) => publicHex);
  const terms = { ...namespaceTerms(targets, NAMESPACE), signers: keys, threshold };
  return realm.draft('targets', redelegateNamespace(targets, NAMESPACE, terms));
}

function imagined({ roles }: Publish): RealmState {
  return updater.imagine(readProposal(updater.state.set, roles, clock.now()));
}

/** Refused, and what is trusted has not moved. */
function expectRefused(publish: Publish, code: string): void {
  const before = updater.state;
  expect(() => imagined(publish)).toThrow(expect.objectContaining({ code }));
  expect(updater.state).toBe(before);
}

function wordsOf(after: RealmState): readonly string[] {
  const { policy } = after.policies.get(NAMESPACE)!;
  const [before, next] = [updater.state.secrets.get(NAMESPACE), after.secrets.get(NAMESPACE)!];
  return secretLines(before, next, policy, clock.now());
}

function withCustom(edit: (custom: JsonObject) => JsonObject): Publish {
  const targets = realm.targets('payments');
  const target = object(targets['payments/db@1'], 'db');
  const edited = { ...target, custom: edit(object(target['custom'], 'db')) };
  return realm.draft('payments', { targets: { ...targets, 'payments/db@1': edited } });
}

test('a new version is seen, and nothing is trusted for it', async () => {
  const before = updater.state;
  const after = imagined(await realm.put('payments', 'db'));
  expect(after.secrets.get(NAMESPACE)!.get(DB)!.newestVersion).toBe(2);
  expect(updater.state).toBe(before);
  expect(before.secrets.get(NAMESPACE)!.get(DB)!.newestVersion).toBe(1);
  expect(await updater.refresh()).toBe(before);
});

test('a change is told in words', async () => {
  expect(wordsOf(imagined(await realm.put('payments', 'db')))).toEqual([
    'payments/db@2 replaces version 1; its value cannot be seen here, it is encrypted to 1 pool key and 1 custodian',
    expect.stringMatching(/^payments\/db@1 lives on until /),
  ]);
});

test('a revocation, a grant and the end of the lease are told in words', () => {
  const grants = [{ selector: { workload: 'web' }, file: 'db', uid: 0, gid: 0, mode: '0400' }];
  expect(wordsOf(imagined(withCustom((custom) => ({ ...custom, grants }))))).toEqual([
    'payments/db is GIVEN to web: file db, owner 0:0, mode 0400',
  ]);
  const timing = { overlap: { seconds: 300 }, whenStale: 'serve' };
  expect(wordsOf(imagined(withCustom((custom) => ({ ...custom, timing }))))).toEqual([
    'payments/db is served on when a lease is over: NO BOUND on its revocation',
  ]);
  expect(wordsOf(imagined(realm.revoke('payments', 'db', 1)))).toEqual([
    'payments/db IS REVOKED through version 1',
  ]);
});

test('a key of nobody known is pointed out', async () => {
  const { recipient } = makePerson();
  const recipients = [realm.pool(), realm.person.recipient, recipient];
  const [line] = wordsOf(imagined(await realm.put('payments', 'api', { recipients })));
  expect(line).toContain(`1 custodian, AND TO KEYS OF NOBODY KNOWN: ${recipient.kid.slice(0, 12)}`);
});

test('new people are told in words', () => {
  const { roles } = redelegated([bob], 1);
  const [proposed] = readProposal(updater.state.set, roles, clock.now());
  const nameOf = (keyid: string): string => (keyid === bob.keyid ? 'bob' : 'somebody');
  expect(peopleLines(realm.role('targets'), asVerified(proposed!), nameOf)).toEqual([
    'Namespace payments: signed by 1 of bob; before: signed by 1 of somebody, bob',
  ]);
});

test('pools, hosts and removals are told in words', async () => {
  const { publish } = await realm.join('web-1');
  const { before: none, after: joined } = imaginedFleet(publish);
  expect(hostLines(none.hosts, joined.hosts)).toEqual([
    expect.stringMatching(/^Host web-1 is LET IN: pools default, /),
  ]);
  service.put(publish);
  await updater.refresh();
  const { before, after } = imaginedFleet(await realm.epoch());
  expect(fleetLines(before.fleet, after.fleet!)).toEqual([
    expect.stringMatching(/^Pool default gets its key of epoch 2: /),
  ]);
  expect(hostLines(before.hosts, after.hosts)).toEqual(['Pool keys are written anew for web-1']);
});

function imaginedFleet(publish: Publish): { readonly before: RealmState; readonly after: RealmState } {
  return { before: updater.state, after: imagined(publish) };
}

test('members that nobody here understands are named', () => {
  const [proposed] = readProposal(
    updater.state.set,
    withCustom((custom) => ({ ...custom, backdoor: true, grants: [{ selector: { everybody: true } }] }))
      .roles,
    clock.now(),
  );
  const lines = unknownLines('payments', realm.role('payments').raw, proposed!.file.raw);
  expect(lines.map((line) => line.split(' ')[1])).toEqual([
    'payments/db@1.custom.backdoor',
    'payments/db@1.custom.grants',
  ]);
});

test('a namespace that would delegate is pointed out', () => {
  const { delegations } = realm.role('targets').raw;
  const { roles } = realm.draft('payments', { delegations: delegations! });
  const [proposed] = readProposal(updater.state.set, roles, clock.now());
  expect(unknownLines('payments', realm.role('payments').raw, proposed!.file.raw)).toEqual([
    'payments: delegations changes, which this version of lapse does not understand',
  ]);
});

test('a floor that sinks', async () => {
  service.put(realm.adopt(realm.revoke('payments', 'db', 1)));
  await updater.refresh();
  expectRefused(
    withCustom((custom) => ({ ...custom, revokedThrough: 0, revoked: [1] })),
    'floor-sank',
  );
});

test('a secret that vanishes', () => {
  expectRefused(realm.draft('payments', { targets: {} }), 'secret-vanished');
});

test('a version that is not the next', () => {
  expectRefused(realm.draft('payments', { version: 1 }), 'version-mismatch');
  expectRefused(realm.draft('payments', { version: 3 }), 'version-mismatch');
});

test('what has expired', () => {
  expectRefused(realm.draft('payments', { expires: '2001-01-31T00:00:00Z' }), 'metadata-expired');
});

test('what nobody of the role has signed', () => {
  expectRefused(realm.draft('payments', {}, { signer: makeSigner() }), 'signature-threshold');
});

test('a namespace that its new people have not signed', () => {
  expectRefused(redelegated([bob, makeSigner()], 2), 'signature-threshold');
  const again = realm.draft('payments', {}, { signer: bob });
  expect(imagined(merged(redelegated([bob, makeSigner()], 2), again)).failures.size).toBe(0);
});

test('a namespace that is no longer delegated', () => {
  const old = object(realm.role('targets').raw['delegations'], 'delegations');
  const roles = (old['roles'] as readonly JsonObject[]).filter(({ name }) => name !== 'payments');
  expectRefused(realm.draft('targets', { delegations: { ...old, roles } }), 'role-vanished');
});

test('the id is of what is signed, whoever signs', () => {
  const [ann, other] = [realm.draft('payments', {}), realm.draft('payments', {}, { signer: bob })];
  const [one, two] = [ann, other].map(({ roles }) => readProposal(updater.state.set, roles, clock.now()));
  expect(proposalId(one!)).toBe(proposalId(two!));
  const [next] = readProposal(updater.state.set, realm.draft('payments', { note: 1 }).roles, clock.now());
  expect(proposalId([next!])).not.toBe(proposalId(one!));
  const both = withMore(one![0]!, two![0]!.signatures);
  expect(both.signatures.map(({ keyid }) => keyid)).toEqual([realm.signer('payments').keyid, bob.keyid]);
  expect(withMore(both, next!.signatures).signatures).toHaveLength(2);
});
