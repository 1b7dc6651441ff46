// What is served, with a kernel that only takes notes: withdrawals come at once and in order, and loading delays none.
import { beforeEach, describe, expect, test } from 'vitest';
import type { Server } from '../../../daemon/server.ts';
import { Leases } from '../../../daemon/leases.ts';
import type { Loader, LoaderEvents, Order } from '../../../daemon/loader.ts';
import { fileNode, viewNode } from '../../../daemon/node-id.ts';
import { Serving } from '../../../daemon/serving.ts';
import type { Arrival, InEffect } from '../../../daemon/serving.ts';
import type { Entitlement } from '../../../daemon/entitlement.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import { WorkloadRegistry } from '../../../daemon/identity/workloads.ts';
import { SlotState } from '../../../daemon/vault/slot.ts';
import type { Namespace, TargetPath } from '../../../manifest/names.ts';
import { parseRealmId } from '../../../manifest/names.ts';
import { ManifestError } from '../../../manifest/errors.ts';
import type { LapseError } from '../../../manifest/errors.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { PAYMENTS, WEB, grant, registered, secret } from './secrets.ts';
import { VaultParts, sealed } from './vault-parts.ts';
import type { Sealed } from './vault-parts.ts';

const path = (text: string): TargetPath => text as TargetPath;
const NODE = fileNode(WEB, path('payments/db@1'));
const VIEW = viewNode(WEB);

let clock: ManualClock;
let leases: Leases;
/** What was said to be in effect. */
let said: InEffect[];
/** Why the loader failed. */
let unloaded: Map<TargetPath, LapseError>;
let parts: VaultParts;
let serving: Serving;
/** One more, which has not begun. */
let another: () => Serving;
/** What the kernel was told, and what awaits an answer. */
let calls: string[];
let kernel: (call: string) => Promise<void>;
let failures: unknown[];
/** What the loader was asked for, and how it answers. */
let orders: string[];
let loader: LoaderEvents;
/** Whether it has nothing on its way. */
let idle: boolean;

beforeEach(() => {
  idle = true;
  clock = new ManualClock();
  leases = new Leases(() => clock.boot());
  said = [];
  unloaded = new Map();
  parts = new VaultParts({ slots: 3 });
  calls = [];
  orders = [];
  failures = [];
  kernel = () => Promise.resolve();
  const note = (call: string): Promise<void> => {
    calls.push(call);
    return kernel(call);
  };
  const server: Server = {
    show: (table) => note(`show ${table.files.map((file) => file.path).join(' ')}`.trim()),
    // Watchers are another file's matter: here everything is made as it is shown.
    announcer: {
      replacing: () => Promise.resolve(() => Promise.resolve(true)),
      created: () => Promise.resolve(true),
      deleted: () => Promise.resolve(true),
      switched: () => Promise.resolve(true),
    },
    invalidator: {
      pages: (node) => note(`pages ${node}`),
      name: (view, name) => note(`name ${view} ${name}`),
      removed: (view, node, name) => note(`removed ${view} ${node} ${name}`),
    },
  };
  const record = { extend: () => Promise.resolve(), reduce: () => Promise.resolve() };
  const realm = parseRealmId('0'.repeat(64));
  const onFailure = (error: unknown): void => void failures.push(error);
  const onEffect = (effect: InEffect): void => void said.push(effect);
  another = () => {
    const made = new Serving({
      ...{ realm, clock, leases, vault: parts.vault, server, record, onFailure, onEffect },
    });
    made.loadWith((events) => {
      loader = events;
      const request = (asked: readonly Order[]): void =>
        void orders.push(...asked.map(({ live }) => live.path));
      return {
        request,
        forget: () => undefined,
        failures: unloaded,
        get idle() {
          return idle;
        },
      } as unknown as Loader;
    });
    return made;
  };
  serving = another();
  void serving.begin(EMPTY_TABLE, new WorkloadRegistry());
});

function realm(
  secrets: readonly Secret[],
  failing: readonly Namespace[] = [],
  more: Partial<Entitlement> = {},
): Arrival {
  const all = new Map(secrets.map((one) => [one.name, one]));
  return {
    state: {} as Arrival['state'],
    entitlement: {
      record: {} as HostRecord,
      secrets: new Map(failing.includes(PAYMENTS) ? [] : [[PAYMENTS, all]]),
      pools: new Map([[PAYMENTS, []]]),
      failing: new Set(failing),
      denied: new Set(),
      exceeding: [],
      ignored: new Map(),
      ...more,
    },
    receivedAt: clock.monotonic(),
    verifiedAt: clock.monotonic(),
  };
}

/** The loader brings a version, if it is still wanted. */
function bring(version: string, what: Sealed = sealed()): number | undefined {
  if (!loader.wanted(path(version))) return undefined;
  const loaded = parts.load(what);
  loader.loaded(path(version), loaded);
  return loaded.slot;
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
};
const effects = (): unknown => serving.effects.last.map(({ version, change }) => `${change} ${version}`);

/** `payments/db@1` is served to `web`. */
async function serve(what: Sealed = sealed()): Promise<number> {
  await serving.register(registered('web')[0]!);
  await serving.apply(realm([secret()]));
  const slot = bring('payments/db@1', what)!;
  await settled();
  calls.length = 0;
  return slot;
}

test('what is verified is asked of the loader, and shown once it is there', async () => {
  await serving.register(registered('web')[0]!);
  await serving.apply(realm([secret()]));
  expect([calls, orders]).toEqual([['show', 'show', 'show'], ['payments/db@1']]);
  expect(bring('payments/db@1')).toBe(0);
  await settled();
  expect(calls.slice(3)).toEqual(['show payments/db@1']);
  expect(serving.table.files).toMatchObject([{ file: 'db', mtime: Math.floor(clock.now() / 1000) }]);
  expect(effects()).toEqual(['shown payments/db@1']);
});

describe('a revocation', () => {
  test('flips the slot and zeroes it before anything is waited for', async () => {
    const version = sealed();
    const slot = await serve(version);
    parts.open(slot);
    expect(parts.holds(version.value)).toBe(true);
    const applying = serving.apply(realm([secret({ tombstone: true })]));
    expect(parts.slots.state(slot)).toBe(SlotState.revoked);
    expect(parts.holds(version.value) || parts.holds(version.dataKey)).toBe(false);
    await applying;
  });

  test('is shown while the kernel forgets, then the name goes, then it is in effect, then the slot is free', async () => {
    const slot = await serve();
    const steps = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    kernel = (call) => steps[call.startsWith('show') ? 0 : 1]!.promise;
    const applying = serving.apply(realm([secret({ tombstone: true })]));
    const snapshots: unknown[] = [];
    const look = async (): Promise<void> => {
      await settled();
      snapshots.push([[...calls], (effects() as string[]).at(-1), parts.slots.state(slot)]);
    };
    await look();
    steps[0]!.resolve(undefined);
    await look();
    steps[1]!.resolve(undefined);
    await applying;
    await look();
    const first = ['show', `pages ${NODE}`];
    expect(snapshots).toEqual([
      [first, 'shown payments/db@1', SlotState.revoked],
      [first, 'shown payments/db@1', SlotState.revoked],
      [[...first, `removed ${VIEW} ${NODE} db`], 'withdrawn payments/db@1', SlotState.empty],
    ]);
  });

  test('is not delayed by a version that does not come', async () => {
    const slot = await serve();
    await serving.apply(
      realm([secret({ tombstone: true }), secret({ name: 'slow', grants: [grant('web', 'slow')] })]),
    );
    expect(orders).toContain('payments/slow@1');
    expect(calls).toEqual(['show', `pages ${NODE}`, `removed ${VIEW} ${NODE} db`]);
    expect(parts.slots.state(slot)).toBe(SlotState.empty);
  });

  test('reaches the vault even while an earlier table is still being shown', async () => {
    const slot = await serve();
    kernel = () => new Promise(() => undefined);
    void serving.register(registered('api')[0]!);
    await settled();
    void serving.apply(realm([secret({ tombstone: true })]));
    expect(parts.slots.state(slot)).toBe(SlotState.revoked);
  });

  test('that comes while its envelope is fetched: it is no longer wanted', async () => {
    await serving.apply(realm([secret()]));
    await serving.apply(realm([secret({ tombstone: true })]));
    expect(bring('payments/db@1')).toBeUndefined();
    expect(serving.table.files).toEqual([]);
  });

  test('a whole namespace that is gone goes with all of its files', async () => {
    const slot = await serve();
    await serving.apply(realm([], [], { secrets: new Map() }));
    expect(parts.slots.state(slot)).toBe(SlotState.empty);
    expect(serving.table.files).toEqual([]);
  });
});

test('a namespace that fails keeps its names and bytes; a revocation while it fails is not heard, so the lease must end', async () => {
  const slot = await serve();
  const before = serving.table;
  await serving.apply(realm([], [PAYMENTS]));
  expect(serving.table).toEqual(before);
  expect(parts.slots.state(slot)).toBe(SlotState.sealed);
  await serving.apply(realm([secret({ tombstone: true })]));
  expect(parts.slots.state(slot)).toBe(SlotState.empty);
});

test('the newest is asked for, the one before it is served until it is there', async () => {
  await serve();
  const overlap = { seconds: 300, end: clock.now() + 300_000 };
  await serving.apply(realm([secret({ newest: 2, superseded: [1], overlap })]));
  expect(orders).toEqual(['payments/db@1', 'payments/db@2']);
  expect(calls).toEqual(['show payments/db@1']);
  bring('payments/db@2');
  await settled();
  expect(calls.slice(1)).toEqual(['show payments/db@2 payments/db@1', `name ${VIEW} db`]);
  expect(effects()).toEqual(['shown payments/db@1', 'shown payments/db@2', 'superseded payments/db@1']);
});

describe('until everything is loaded', () => {
  const overlap = { seconds: 300, end: Infinity };
  const names = (): unknown => serving.table.files.filter(({ named }) => named).map((file) => file.path);

  beforeEach(async () => {
    idle = false;
    await serving.register(registered('web')[0]!);
    await serving.apply(realm([secret({ newest: 2, superseded: [1], overlap })]));
    bring('payments/db@1');
    await settled();
  });

  test('an older version that is there first does not bear the name', async () => {
    expect([calls.at(-1), names(), effects()]).toEqual(['show payments/db@1', [], []]);
    bring('payments/db@2');
    await settled();
    expect([names(), effects()]).toEqual([['payments/db@2'], []]);
    idle = true;
    loader.idle();
    await settled();
    expect(effects()).toEqual(['shown payments/db@2', 'superseded payments/db@1']);
  });

  test('but when the newest cannot be loaded, it does', async () => {
    idle = true;
    loader.idle();
    await settled();
    expect(names()).toEqual(['payments/db@1']);
  });

  test('who hands over waits, again when more was asked for meanwhile', async () => {
    let isLoaded = false;
    void serving.loaded().then(() => (isLoaded = true));
    loader.idle();
    await settled();
    expect(isLoaded).toBe(false);
    idle = true;
    loader.idle();
    await settled();
    expect(isLoaded).toBe(true);
    await serving.loaded();
  });
});

describe('an overlap', () => {
  /** The wall clock will never reach the signed end. */
  const overlap = { seconds: 300, end: Infinity };
  let old: number;

  beforeEach(async () => {
    old = await serve();
    await serving.apply(realm([secret({ newest: 2, superseded: [1], overlap })]));
    bring('payments/db@2');
    await settled();
  });

  test('ends by itself', async () => {
    clock.advance(299_999);
    serving.tick();
    expect(parts.slots.state(old)).toBe(SlotState.sealed);
    clock.advance(1);
    serving.tick();
    expect(parts.slots.state(old)).toBe(SlotState.revoked);
    await settled();
    expect((effects() as string[]).at(-1)).toBe('withdrawn payments/db@1');
  });

  test('that has ended does not begin again while the version is still listed', async () => {
    clock.advance(300_000);
    serving.tick();
    await settled();
    orders.length = 0;
    for (let i = 0; i < 3; i++) {
      clock.advance(1000);
      serving.tick();
      await serving.apply(realm([secret({ newest: 2, superseded: [1], overlap })]));
    }
    expect(orders).toEqual([]);
    expect(bring('payments/db@1')).toBeUndefined();
  });
});

describe('the lease of its namespace', () => {
  const renew = (ms: number): void => leases.renew(clock.boot(), ms, leases.place(PAYMENTS));

  /** As long as a lease of 1 s, and the time after which the serving thread has noticed its end as well. */
  const OVER_MS = 1050;

  test('ends: mappings go, once; names and bytes stay', async () => {
    const slot = await serve();
    renew(1000);
    serving.tick();
    expect(calls).toEqual([]);
    clock.advance(OVER_MS);
    serving.tick();
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`]);
    expect(parts.slots.state(slot)).toBe(SlotState.sealed);
    renew(1000);
    serving.tick();
    clock.advance(OVER_MS);
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`, `pages ${NODE}`]);
  });

  test('ends a moment later by the clock of the serving thread: what somebody maps until then goes, too', async () => {
    await serve();
    renew(1000);
    clock.advance(1000);
    serving.tick();
    clock.advance(49);
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`, `pages ${NODE}`]);
    clock.advance(100);
    serving.tick();
    serving.tick();
    expect(calls, 'once more, and then no more').toEqual(Array.from({ length: 3 }, () => `pages ${NODE}`));
  });

  test('ends between two looks at a file that has just come: its mapping goes too', async () => {
    renew(1000);
    serving.tick();
    await serve();
    clock.advance(1000);
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`]);
  });

  test('ends a second time before anybody has looked: its mappings go again', async () => {
    await serve();
    renew(1000);
    clock.advance(1000);
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`]);
    renew(1000);
    clock.advance(OVER_MS);
    serving.tick();
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`, `pages ${NODE}`]);
  });

  test.for<[string, boolean]>([
    ['is over before it takes over: what it withdrew then, the one before may have shown again', true],
    ['never began here: what the one before let be mapped goes', false],
  ])('of the next one %s', async ([, hadOne]) => {
    await serve();
    const told = serving.table;
    serving = another();
    await serving.apply(realm([secret()]));
    bring('payments/db@1');
    await settled();
    if (hadOne) renew(1000);
    clock.advance(OVER_MS);
    serving.tick();
    await serving.begin(told, new WorkloadRegistry({ known: registered('web'), save: () => undefined }));
    await settled();
    calls.length = 0;
    serving.tick();
    serving.tick();
    expect(calls).toEqual([`pages ${NODE}`]);
  });

  test('of another one: that touches nothing here', async () => {
    await serve();
    renew(2000);
    leases.renew(clock.boot(), 1000, leases.place('billing' as Namespace));
    clock.advance(1000);
    serving.tick();
    expect(calls).toEqual([]);
  });

  test('ends, and the secret is served when stale: nothing goes', async () => {
    await serving.register(registered('web')[0]!);
    await serving.apply(realm([secret({ whenStale: 'serve' })]));
    bring('payments/db@1');
    await settled();
    calls.length = 0;
    renew(1000);
    clock.advance(2000);
    serving.tick();
    expect(calls).toEqual([]);
  });

  test.for([['deny'], ['serve']] as const)(
    'is ended at once (%s): mappings go before that resolves',
    async ([whenStale]) => {
      await serving.register(registered('web')[0]!);
      const one = secret({ whenStale });
      await serving.apply(realm([one]));
      const slot = bring('payments/db@1')!;
      await settled();
      calls.length = 0;
      renew(1000);
      await serving.apply(realm([one], [PAYMENTS], { denied: new Set([PAYMENTS]) }));
      const [file] = serving.table.files;
      expect([calls[0], leases.admits(file!), parts.slots.state(slot)]).toEqual([
        `pages ${NODE}`,
        false,
        SlotState.sealed,
      ]);
    },
  );
});

test('a host that is no member any more: nothing is left in the vault, nor mapped, nor held by a lease', async () => {
  const version = sealed();
  const slot = await serve(version);
  parts.open(slot);
  leases.renew(clock.boot(), 1000);
  leases.renew(clock.boot(), 1000, leases.place(PAYMENTS));
  const { record: _, ...stranger } = realm([], [], { secrets: new Map() }).entitlement;
  const applying = serving.apply({ ...realm([]), entitlement: stranger });
  expect([leases.holds(), leases.holds(leases.place(PAYMENTS)), parts.holds(version.value)]).toEqual([
    false,
    false,
    false,
  ]);
  await applying;
  expect(calls).toContain(`pages ${NODE}`);
  expect(serving.table.files).toEqual([]);
});

describe('what is in effect is told', () => {
  const last = (): unknown => {
    const { pending, unserved, withdrawn } = said.at(-1)!;
    return {
      pending: [...pending],
      unserved: [...unserved].map(([name, { code }]) => [name, code]),
      withdrawn,
    };
  };
  const nothing = { versions: [], more: 0, mappings: 0 };

  test('first without what is on its way, then with it', async () => {
    await serving.register(registered('web')[0]!);
    await serving.apply(realm([secret()]));
    expect(last()).toEqual({ pending: [PAYMENTS], unserved: [], withdrawn: nothing });
    bring('payments/db@1');
    await settled();
    expect(last()).toEqual({ pending: [], unserved: [], withdrawn: nothing });
  });

  test('what was taken back, and how many files the kernel forgot', async () => {
    await serve();
    await serving.apply(realm([secret({ tombstone: true })]));
    expect(last()).toEqual({
      pending: [],
      unserved: [],
      withdrawn: { versions: ['payments/db@1'], more: 0, mappings: 1 },
    });
    await serving.apply(realm([secret({ tombstone: true })]));
    expect(last()).toEqual({ pending: [], unserved: [], withdrawn: nothing });
  });

  test('when: refused first, then forgotten by the kernel, then free', async () => {
    await serve();
    kernel = () => {
      clock.advance(1);
      return Promise.resolve();
    };
    const since = clock.monotonic();
    const pushed = { at: 5, boot: 'b' };
    await serving.apply({ ...realm([secret({ tombstone: true })]), pushed });
    const { arrival, moments, zeroedAt, table } = said.at(-1)!;
    // The table and beside it the pages, then the name.
    expect([moments.deniedAt - since, moments.effectAt - since]).toEqual([2_000_000n, 3_000_000n]);
    expect([zeroedAt, arrival.pushed, table.files]).toEqual([moments.effectAt, pushed, []]);
    await serving.register(registered('api')[0]!);
    expect(said.at(-1)!.zeroedAt).toBeUndefined();
  });

  test('what could not be loaded, or may not be', async () => {
    unloaded.set(path('payments/db@1'), new ManifestError('hash-mismatch', 'x'));
    await serving.apply(realm([secret()]));
    expect(last()).toMatchObject({ pending: [], unserved: [[PAYMENTS, 'hash-mismatch']] });
    const ignored = new Map([[PAYMENTS, new ManifestError('policy-exceeded', 'x')]]);
    unloaded.clear();
    await serving.apply(realm([], [], { ignored }));
    expect(last()).toMatchObject({ unserved: [[PAYMENTS, 'policy-exceeded']] });
  });

  test('only once it is: not while the kernel is still being told', async () => {
    await serve();
    const count = said.length;
    const step = Promise.withResolvers<undefined>();
    kernel = (call) => (call.startsWith('pages') ? step.promise : Promise.resolve());
    const applying = serving.apply(realm([secret({ tombstone: true })]));
    await settled();
    expect(said).toHaveLength(count);
    step.resolve(undefined);
    await applying;
    expect(said).toHaveLength(count + 1);
  });
});

test('a container that goes takes its mappings with it; its files stay for the next', async () => {
  await serve();
  await serving.unregister('c-web');
  expect(calls).toEqual(['show payments/db@1', `pages ${NODE}`]);
  expect(() => serving.unregister('c-web')).toThrow(
    expect.objectContaining({ code: 'workload-unknown' }) as Error,
  );
});

test('many changes at once are shown in as few tables as can be, the last one last', async () => {
  await serve();
  await Promise.all([1, 2, 3, 4, 5].map(() => serving.apply(realm([secret()]))));
  expect(calls.length).toBeLessThan(5);
  await Promise.all([serving.apply(realm([secret()])), serving.apply(realm([secret({ tombstone: true })]))]);
  expect(serving.table.files).toEqual([]);
});

test('the end denies everything: lease, vault, mappings; nothing is taken in any more', async () => {
  const version = sealed();
  const slot = await serve(version);
  leases.renew(clock.boot(), 1000);
  parts.open(slot);
  await serving.end();
  expect([leases.holds(), parts.slots.state(slot), parts.holds(version.value)]).toEqual([
    false,
    SlotState.revoked,
    false,
  ]);
  expect(calls).toEqual([`pages ${NODE}`]);
  await serving.apply(realm([secret({ newest: 2 })]));
  expect(bring('payments/db@2')).toBeUndefined();
});

describe('a table that cannot be shown is told, whoever asked for it', () => {
  const broken = new Error('the barrier failed');

  test.for<[string, () => unknown]>([
    ['news', () => serving.apply(realm([secret({ tombstone: true })]))],
    ['a container', () => serving.register(registered('api')[0]!)],
    ['a version that was loaded', () => bring('payments/db@2')],
  ])('%s', async ([, ask]) => {
    await serve();
    await serving.apply(realm([secret({ newest: 2, superseded: [1] })]));
    kernel = () => Promise.reject(broken);
    await Promise.resolve(ask()).catch(() => undefined);
    await settled();
    expect(failures).toContain(broken);
  });
});
