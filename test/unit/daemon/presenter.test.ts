// The order in which a table comes before the kernel and watchers: what has to go is gone first, and nobody who is told
// anything keeps it waiting. Whatever was not told is told with the next table.
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Effects } from '../../../daemon/effects.ts';
import { Presenter } from '../../../daemon/presenter.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import type { ServedFile, Shown, Table } from '../../../daemon/table.ts';
import { Watchers } from '../../../daemon/watchers.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { grant, secret, tableOf } from './secrets.ts';

const LOT = 16;
const MOST_HELD = 64;

const first = tableOf(secret());
const rotated = tableOf(secret({ newest: 2, superseded: [1] }));
const revoked = tableOf(secret({ tombstone: true }));
/** `count` secrets of one view. */
const many = (count: number, newest = 1): Table =>
  tableOf(
    ...Array.from({ length: count }, (_, i) =>
      secret({ name: `s${i}`, newest, grants: [grant('web', `s${i}`)] }),
    ),
  );

let effects: Effects;
let presenter: Presenter;
let calls: string[];
let shown: Shown[];
/** How many effects there were at the beginning. */
let before: number;
/** What must come before a table is with the serving thread. */
let served: () => Promise<undefined>;
/** What the announcer answers. */
let hears: (call: string) => boolean;

/** A presenter after an earlier server, which told all of this table. */
function after(table: Table): void {
  effects = new Effects(new ManualClock());
  calls = [];
  shown = [];
  hears = () => true;
  served = () => Promise.resolve(undefined);
  const note = (call: string): Promise<void> => Promise.resolve(void calls.push(call));
  const tell = (call: string): Promise<boolean> => Promise.resolve(calls.push(call)).then(() => hears(call));
  presenter = new Presenter({
    effects,
    watchers: new Watchers(table),
    told: table,
    record: { extend: () => note('extend'), reduce: () => note('reduce') },
    server: {
      show: (next) =>
        note('show')
          .then(served)
          .then(() => void shown.push(next)),
      invalidator: {
        pages: () => note('pages'),
        name: (_, name) => note(`name ${name}`),
        removed: (_view, _node, name) => note(`removed ${name}`),
      },
      announcer: {
        replacing: async (_, name, size) => {
          await note(`hold ${name} of ${size}`);
          return () => tell(`replaced ${name} of ${size}`);
        },
        created: (_, name) => tell(`created ${name}`),
        deleted: (_, name) => tell(`deleted ${name}`),
        switched: (view) => tell(`switched ${view}`),
      },
    },
  });
}

/** The table that is in effect, and known to who watches. */
async function begin(table: Table): Promise<void> {
  after(table);
  await told(table);
  shown = [];
  before = effects.last.length;
}

const patient = (): boolean => false;
const hasty = (): boolean => true;

/** What came about when this table was settled, and what does when it is announced, once the record is reduced. */
async function settle(table: Table) {
  calls = [];
  const announce = await presenter.settled(table);
  const done = calls;
  const tell = async (hurry = patient): Promise<string[]> => {
    calls = [];
    await announce(hurry);
    expect(calls.shift()).toBe('reduce');
    return calls;
  };
  return { done, tell };
}

/** What is told of this table. */
async function told(table: Table, hurry = patient): Promise<string[]> {
  return (await settle(table)).tell(hurry);
}

const changes = (): string[] =>
  effects.last.slice(before).map(({ version, change }) => `${change} ${version}`);
const names = (files: readonly ServedFile[]): string[] =>
  files.map(({ file, version }) => `${file}@${version}`);

beforeEach(() => begin(first));

describe('what goes', () => {
  test('is gone, and in effect, before anybody is told', async () => {
    const { done, tell } = await settle(revoked);
    expect(done).toEqual(['extend', 'show', 'pages', 'removed db']);
    expect(changes()).toEqual(['withdrawn payments/db@1']);
    expect(names(shown[0]!.departing)).toEqual(['db@1']);
    expect(await tell()).toEqual(['deleted db', 'switched web']);
  });

  test('of what is dead the kernel forgets the pages while the table is on its way', async () => {
    const onItsWay = Promise.withResolvers<undefined>();
    served = () => onItsWay.promise;
    calls = [];
    const settled = presenter.settled(revoked, new Set(first.files.map(({ path }) => path)));
    await new Promise(setImmediate);
    expect([calls, changes()]).toEqual([['extend', 'show', 'pages'], []]);
    onItsWay.resolve(undefined);
    await settled;
    expect([calls, changes()]).toEqual([
      ['extend', 'show', 'pages', 'removed db'],
      ['withdrawn payments/db@1'],
    ]);
  });

  test('is told once', async () => {
    await told(revoked);
    expect(await told(revoked)).toEqual([]);
    expect(shown.at(-1)!.departing).toEqual([]);
  });
});

describe('what comes', () => {
  const more = tableOf(secret(), secret({ name: 'key', grants: [grant('web', 'key')] }));

  test('is there for nobody before it is told, and in effect then', async () => {
    const { tell } = await settle(more);
    const node = more.files.find(({ file }) => file === 'key')?.node;
    expect(shown[0]!.arriving).toEqual(new Set([node]));
    expect(changes()).toEqual([]);
    expect(await tell()).toEqual(['created key', 'switched web']);
    expect(changes()).toEqual(['shown payments/key@1']);
  });

  test('is shown all the same when the kernel does not make it', async () => {
    hears = (call) => !call.startsWith('created');
    await told(more);
    expect(shown).toHaveLength(2);
    expect(shown[1]!.arriving).toEqual(new Set());
    expect(changes()).toEqual(['shown payments/key@1']);
  });
});

describe('what is replaced', () => {
  test('is held before, and told of when the new one is in effect', async () => {
    const { done, tell } = await settle(rotated);
    expect(done).toEqual(['extend', 'hold db of 10', 'show', 'name db']);
    expect(changes()).toEqual(['shown payments/db@2', 'superseded payments/db@1']);
    expect(await tell()).toEqual(['replaced db of 10', 'switched web']);
    expect(await told(rotated)).toEqual([]);
  });

  test('is there for the server as long as it is held, though no overlap keeps it', async () => {
    await presenter.settled(tableOf(secret({ newest: 2 })));
    expect(names(shown[0]!.departing)).toEqual(['db@1']);
    expect(names(shown[0]!.files)).toEqual(['db@2']);
  });

  test('is told of by the new file when the old one could not be held', async () => {
    hears = (call) => call !== 'replaced db of 10';
    expect(await told(rotated)).toEqual([
      'replaced db of 10',
      'hold db of 11',
      'switched web',
      'replaced db of 11',
    ]);
    expect(await told(rotated)).toEqual([]);
  });

  test('beyond what can be held: each is told of, once', async () => {
    const count = MOST_HELD + 40;
    await begin(many(count));
    const { done, tell } = await settle(many(count, 2));
    expect(done.filter((call) => call.startsWith('hold'))).toHaveLength(MOST_HELD);
    const replaced = (await tell()).filter((call) => call.startsWith('replaced'));
    expect(replaced).toHaveLength(count);
    expect(new Set(replaced.map((call) => call.split(' ')[1])).size).toBe(count);
  });
});

test('another owner or mode: the view in the style of Kubernetes switches, once', async () => {
  const altered = tableOf(secret({ grants: [{ ...grant('web'), uid: 7 }] }));
  expect(await told(altered)).toEqual(['switched web']);
  expect(await told(altered)).toEqual([]);
});

describe('in a hurry', () => {
  beforeEach(() => begin(many(0)));

  test('one lot is told, so that names come while something happens all the time', async () => {
    const all = many(40);
    const heard: string[] = [];
    for (const count of [LOT, LOT, 8]) {
      const lot = await told(all, hasty);
      expect(lot.filter((call) => call.startsWith('created'))).toHaveLength(count);
      heard.push(...lot);
    }
    expect(new Set(heard.filter((call) => call.startsWith('created'))).size).toBe(40);
    expect(changes()).toHaveLength(40);
    expect(heard.filter((call) => call === 'switched web')).toEqual(['switched web']);
  });

  test('what something more urgent cuts short comes after what goes', async () => {
    let looks = 0;
    await told(many(40), () => ++looks > 1);
    const next = { ...many(40), files: many(40).files.slice(1) };
    const heard = await told(next);
    expect(heard[0]).toBe('deleted s0');
    expect(heard.filter((call) => call.startsWith('created'))).toHaveLength(40 - 2 * LOT);
    expect(heard.at(-1)).toBe('switched web');
  });

  test('a switch that was not told is told, though the next table changes nothing there', async () => {
    const lot = await told(many(LOT), hasty);
    expect(lot).toHaveLength(LOT);
    expect(lot).not.toContain('switched web');
    expect(await told(many(LOT))).toEqual(['switched web']);
  });
});

describe('until the realm is settled', () => {
  beforeEach(() => after(first));

  test('what is there is shown, nothing goes, and nobody is told', async () => {
    await presenter.unsettled(EMPTY_TABLE);
    await presenter.unsettled(rotated);
    expect(calls).toEqual(['extend', 'show', 'extend', 'show']);
    expect(shown.map(({ settled }) => settled)).toEqual([false, false]);
    expect(shown[1]!.arriving.size).toBe(0);
  });

  test('a name that watchers have yet to hear of waits for that: it is never there, and gone again', async () => {
    const more = tableOf(secret(), secret({ name: 'new', grants: [grant('web', 'new')] }));
    await presenter.unsettled(more);
    const isNew = ({ file }: ServedFile): boolean => (file as string) === 'new';
    const node = more.files.find(isNew)!.node;
    const { tell } = await settle(more);
    expect(shown.map(({ arriving }) => [...arriving])).toEqual([[node], [node]]);
    expect(await tell()).toEqual(['created new', 'switched web']);
  });

  test('what is there for a workload that comes meanwhile stays, and is no news to it', async () => {
    after(EMPTY_TABLE);
    await presenter.unsettled({ ...first, files: [] });
    await presenter.unsettled(first);
    const { tell } = await settle(first);
    expect(shown.map(({ arriving }) => arriving.size)).toEqual([0, 0, 0]);
    expect(await tell()).toEqual([]);
  });

  test('what an earlier server told, and what was shown meanwhile, goes then', async () => {
    after(tableOf(secret(), secret({ name: 'old', grants: [grant('web', 'old')] })));
    await presenter.unsettled(tableOf(secret({ name: 'new', grants: [grant('web', 'new')] })));
    const { done } = await settle(first);
    expect(done).toEqual(['extend', 'show', 'pages', 'pages', 'removed old', 'removed new']);
  });
});

test('any tables, each cut short anywhere: in the end everybody knows the names that are there, and of the switch', async () => {
  const tables = [many(0), many(20), many(40), many(40, 2), first, rotated, revoked];
  const step = fc.record({ table: fc.constantFrom(...tables), lots: fc.nat(3) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), fc.constantFrom(...tables), async (steps, last) => {
      await begin(many(0));
      const known = new Set<string>();
      let isSwitchDue = false;
      const hear = (heard: readonly string[]): void => {
        for (const call of heard) {
          const [event, name = ''] = call.split(' ');
          if (event === 'created') expect(known.has(name)).toBe(false);
          if (event === 'created') known.add(name);
          if (event === 'deleted') expect(known.delete(name)).toBe(true);
          if (event !== 'hold') isSwitchDue = event !== 'switched';
        }
      };
      for (const { table, lots } of steps) {
        let looked = 0;
        hear(await told(table, () => ++looked > lots));
      }
      hear(await told(last));
      expect([...known].sort()).toEqual(
        last.files
          .filter(({ named }) => named)
          .map(({ file }) => file as string)
          .sort(),
      );
      expect(isSwitchDue).toBe(false);
      expect(await told(last)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
