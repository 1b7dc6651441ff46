// Receipts: one for each thing that is new, signed, in order; posted together, again when that fails, and never too many.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { ClientError } from '../../../client/errors.ts';
import { Receipts } from '../../../daemon/receipts.ts';
import type { InEffect } from '../../../daemon/serving.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import { ManifestError } from '../../../manifest/errors.ts';
import { parseNamespace, parseRealmId } from '../../../manifest/names.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { isStatement, verifyStatement } from '../../../manifest/realm/drill/statement.ts';
import type { DrillStatement } from '../../../manifest/realm/drill/statement.ts';
import { verifyReceipt } from '../../../manifest/realm/receipt.ts';
import type { Receipt } from '../../../manifest/realm/receipt.ts';
import { makeHost } from '../../support/realm.ts';
import { ManualClock } from '../client/manual-clock.ts';

const REALM = parseRealmId('ab'.repeat(32));
const host = makeHost(REALM, 'web-1');
/** A machine that others load may take this long to sign. */
const PATIENT = { timeout: 15_000 };
const [PAYMENTS, BILLING] = ['payments', 'billing'].map(parseNamespace) as [Namespace, Namespace];
const refused = new ManifestError('hash-mismatch', 'x');

let clock: ManualClock;
let receipts: Receipts;
let ending: AbortController;
let running: Promise<void>;
/** The batches that were posted. */
let posted: (readonly string[])[];
let post: () => Promise<void>;

beforeEach(() => {
  clock = new ManualClock();
  ending = new AbortController();
  [posted, post] = [[], () => Promise.resolve()];
  const transport = {
    postReceipts: async (batch: readonly string[]) => {
      await post();
      posted.push(batch);
    },
  };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  receipts = new Receipts({ host: { ...host, realm: REALM }, transport, clock, log });
  running = receipts.run(ending.signal);
});

afterEach(async () => {
  ending.abort();
  await running;
});

interface Shape {
  readonly versions?: Readonly<Record<string, number>>;
  readonly pending?: readonly Namespace[];
  readonly unserved?: readonly Namespace[];
  readonly failures?: readonly string[];
  readonly failing?: readonly Namespace[];
  readonly withdrawn?: readonly string[];
}

/** A realm with `payments`, which has a revoker, and `billing`, at the versions that are given; 1 otherwise. */
function effect(shape: Shape = {}): InEffect {
  const { versions = {}, pending = [], unserved = [], failures = [], failing = [], withdrawn = [] } = shape;
  const names = ['targets', 'fleet', 'fleet-hosts', 'payments', 'payments-revoker', 'billing'];
  const file = (name: string) => ({
    role: { version: versions[name] ?? 1 },
    bytes: new Uint8Array(),
    sha256: Buffer.from(name.padEnd(32).slice(0, 32)).toString('hex'),
  });
  const roles = new Map(names.map((name) => [name, { version: versions[name] ?? 1 }]));
  const timestamp = { ...file('timestamp'), role: { ...file('timestamp').role, snapshot: { version: 1 } } };
  const set = {
    root: file('root'),
    timestamp,
    snapshot: { ...file('snapshot'), role: { version: 1, roles } },
    targets: new Map(names.map((name) => [name, file(name)])),
  };
  const served = [PAYMENTS, BILLING].filter((name) => !failing.includes(name));
  const now = clock.monotonic();
  return {
    arrival: {
      state: {
        set,
        policies: new Map([
          [PAYMENTS, { hasRevoker: true }],
          [BILLING, { hasRevoker: false }],
        ]),
        failures: new Map([...failures, ...failing].map((name) => [name, refused])),
      } as unknown as RealmState,
      entitlement: {
        secrets: new Map(served.map((name) => [name, new Map()])),
        pools: new Map(),
        failing: new Set(failing),
        denied: new Set(),
        exceeding: [],
        ignored: new Map(),
      },
      receivedAt: now - 9_000_000n,
      verifiedAt: now - 7_000_000n,
    },
    pending: new Set(pending),
    unserved: new Map(unserved.map((name) => [name, refused])),
    withdrawn: { versions: withdrawn as never, more: 0, mappings: withdrawn.length },
    table: EMPTY_TABLE,
    moments: { deniedAt: now - 2_000_000n, effectAt: now - 1_000_000n },
  };
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
};
const all = async (): Promise<readonly Receipt[]> => {
  await vi.waitFor(() => expect(receipts.pending).toBe(0), PATIENT);
  return Promise.all(posted.flat().map((jws) => verifyReceipt(jws, host as never, REALM)));
};
const last = async (): Promise<Receipt> => (await all()).at(-1)!;
/** Signing is another thread's; until it is done nothing waits to be posted. */
const note = async (shape: Shape = {}): Promise<void> => {
  await receipts.note(effect(shape));
  await vi.waitFor(
    () => expect(receipts.pending === 0 || receipts.lastError !== undefined).toBe(true),
    PATIENT,
  );
};

test('it says what is in effect, what went, and how long that took', async () => {
  await note({ withdrawn: ['payments/db@1'], versions: { payments: 3 } });
  const receipt = await last();
  expect([...receipt.roles.keys()].sort()).toEqual([
    'billing',
    'fleet',
    'fleet-hosts',
    'payments',
    'payments-revoker',
    'root',
    'snapshot',
    'targets',
    'timestamp',
  ]);
  expect(receipt.roles.get('payments')).toMatchObject({ version: 3 });
  expect(receipt).toMatchObject({
    ...{ host: 'web-1', sequence: 1, at: clock.now(), withdrawn: ['payments/db@1'], more: 0, mappings: 1 },
    ...{ verifiedUs: 2000, effectUs: 9000, failures: new Map() },
  });
  expect(receipt.boot).toMatch(/^[0-9a-f-]{36}$/);
});

test('what says nothing new makes none; the numbers go up by one', async () => {
  await note();
  await note();
  await note({ versions: { timestamp: 2 } });
  expect(await all()).toHaveLength(1);
  await note({ versions: { payments: 2 } });
  await note({ versions: { payments: 2 }, withdrawn: ['payments/db@1'] });
  expect((await all()).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
});

describe('not in effect is', () => {
  test('a namespace of which something is on its way; its revoker’s word is, and so are the others', async () => {
    await note({ pending: [PAYMENTS] });
    const { roles, failures } = await last();
    expect(['payments', 'payments-revoker', 'billing'].map((name) => roles.has(name))).toEqual([
      false,
      true,
      true,
    ]);
    expect(failures.size).toBe(0);
    await note();
    expect((await last()).roles.has('payments')).toBe(true);
  });

  test('a namespace of which something cannot be served; why is said', async () => {
    await note({ unserved: [PAYMENTS] });
    const { roles, failures } = await last();
    expect(['payments', 'payments-revoker'].map((name) => roles.has(name))).toEqual([false, true]);
    expect(failures).toEqual(new Map([['payments', 'hash-mismatch']]));
  });

  test('a namespace that does not verify, with its revoker; fleet likewise; why is said', async () => {
    await note({ failing: [PAYMENTS], failures: ['fleet', 'other'] });
    const { roles, failures } = await last();
    expect(['payments', 'payments-revoker', 'fleet', 'billing'].map((name) => roles.has(name))).toEqual([
      ...[false, false, false],
      true,
    ]);
    expect(new Set(failures.keys())).toEqual(new Set(['payments', 'fleet']));
  });
});

describe('posting', () => {
  const down = (): Promise<void> => Promise.reject(new ClientError('service-unreachable', 'gone'));

  test('fails: again, ever more slowly, and then all that wait together', async () => {
    let attempts = 0;
    post = () => {
      attempts++;
      return down();
    };
    await note({ versions: { payments: 2 } });
    for (const pause of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
      const before = attempts;
      clock.advance(pause - 1);
      await settled();
      expect(attempts).toBe(before);
      clock.advance(1);
      await settled();
      expect(attempts).toBe(before + 1);
    }
    for (const version of [3, 4]) await note({ versions: { payments: version } });
    expect([receipts.pending, receipts.lastError]).toEqual([3, 'gone']);
    post = () => Promise.resolve();
    clock.advance(10_000);
    await all();
    expect([posted.map(({ length }) => length), receipts.pending, receipts.lastError]).toEqual([
      [3],
      0,
      undefined,
    ]);
  });

  test('of too many: the newest, at most 16 at once', async () => {
    post = down;
    let signed: Promise<bigint> | undefined;
    for (let payments = 1; payments <= 100; payments++)
      signed = receipts.note(effect({ versions: { payments } }));
    // One is signed after the other: all of them are, when the last one is.
    await signed;
    await settled();
    expect([receipts.pending, receipts.lastError]).toEqual([64, 'gone']);
    post = () => Promise.resolve();
    clock.advance(10_000);
    const said = await all();
    expect(posted.map(({ length }) => length)).toEqual([16, 16, 16, 16]);
    expect([said[0]?.sequence, said.at(-1)?.sequence, said.length]).toEqual([37, 100, 64]);
  });

  test('never blocks whoever tells', async () => {
    const held = Promise.withResolvers<undefined>();
    post = () => held.promise;
    for (const payments of [1, 2])
      expect(await receipts.note(effect({ versions: { payments } }))).toBe(clock.monotonic());
    expect(receipts.pending).toBe(2);
    held.resolve(undefined);
  });
});

test('whoever tells may know when the receipt was signed; of none, nothing', async () => {
  const signed = receipts.note(effect());
  clock.advance(5);
  expect(await signed).toBe(clock.monotonic());
  expect(receipts.note(effect())).toBeUndefined();
});

describe('what is said of a drill', () => {
  const armed = (version: number): DrillStatement => ({
    ...{ kind: 'armed', realm: REALM, host: host.name, boot: 'b', drill: 'd1'.repeat(16), version },
  });
  const kinds = (): readonly string[] => posted.flat().map((jws) => (isStatement(jws) ? 'drill' : 'receipt'));

  test('goes where the receipts go, in the order in which it was said', async () => {
    let release = (): void => undefined;
    post = () => new Promise((resolve) => (release = resolve));
    await receipts.note(effect());
    await settled();
    receipts.say(armed(1));
    void receipts.note(effect({ versions: { payments: 2 } }));
    receipts.say(armed(2));
    await vi.waitFor(() => expect(receipts.pending).toBe(4), PATIENT);
    post = () => Promise.resolve();
    release();
    await vi.waitFor(() => expect(receipts.pending).toBe(0), PATIENT);
    expect(kinds()).toEqual(['receipt', 'drill', 'receipt', 'drill']);
    const jws = posted.flat()[3] ?? '';
    expect(await verifyStatement(jws, host as never, REALM)).toEqual(armed(2));
  });

  test('and cannot be signed: is left out, and receipts go on', async () => {
    receipts.say({ ...armed(1), version: 0.5 } as DrillStatement);
    void receipts.note(effect());
    await vi.waitFor(() => expect(posted.flat()).toHaveLength(1), PATIENT);
    expect(kinds()).toEqual(['receipt']);
  });

  test('never takes the place of a receipt, nor a receipt that of it', async () => {
    post = () => Promise.reject(new ClientError('service-unreachable', 'gone'));
    for (let version = 1; version <= 70; version++) {
      void receipts.note(effect({ versions: { payments: version } }));
      receipts.say(armed(version));
    }
    // When this one is signed, all of them are.
    await receipts.note(effect({ versions: { payments: 71 } }));
    await settled();
    expect([receipts.pending, receipts.lastError]).toEqual([128, 'gone']);
    post = () => Promise.resolve();
    clock.advance(10_000);
    await vi.waitFor(() => expect(receipts.pending).toBe(0), PATIENT);
    expect(kinds().filter((kind) => kind === 'drill')).toHaveLength(64);
    expect(kinds().filter((kind) => kind === 'receipt')).toHaveLength(64);
    const [first = ''] = posted.flat().filter(isStatement);
    expect(await verifyStatement(first, host as never, REALM)).toMatchObject({ version: 7 });
  });
});
