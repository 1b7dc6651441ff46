// What watchers have yet to hear of: the difference between what they were told and what is there, until they are told.
import { expect, test } from 'vitest';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import type { ServedFile, Table } from '../../../daemon/table.ts';
import { Watchers } from '../../../daemon/watchers.ts';
import type { News } from '../../../daemon/watchers.ts';
import { grant, secret, tableOf } from './secrets.ts';

const NOTHING = { arriving: [], departing: [], replaced: [], altered: [] };

const first = tableOf(secret());
const rotated = tableOf(secret({ newest: 2, superseded: [1] }));
const revoked = tableOf(secret({ tombstone: true }));
const another = tableOf(secret(), secret({ name: 'key', grants: [grant('web', 'key')] }));

const versionOf = ({ view, file, version }: ServedFile): string => `${view}/${file}@${version}`;

/** In short. */
function of(news: News): unknown {
  return {
    arriving: news.arriving.map(versionOf),
    departing: news.departing.map(versionOf),
    replaced: news.replaced.map(({ before, after }) => `${versionOf(before)} by ${versionOf(after)}`),
    altered: news.altered.map(versionOf),
  };
}

/** Watched since this table, which was no news. */
function since(table: Table): Watchers {
  const watchers = new Watchers(EMPTY_TABLE);
  expect(of(watchers.news(table))).toEqual(NOTHING);
  return watchers;
}

/** Tells everything. */
function tell(watchers: Watchers, news: News): void {
  for (const file of [...news.arriving, ...news.altered]) watchers.note(file);
  for (const { after } of news.replaced) watchers.note(after);
  for (const file of news.departing) watchers.forget(file);
}

test.for<[string, Table, Table, object]>([
  ['the same', first, first, {}],
  ['a name more', first, another, { arriving: ['web/key@1'] }],
  ['a name less', another, first, { departing: ['web/key@1'] }],
  ['a rotation', first, rotated, { replaced: ['web/db@1 by web/db@2'] }],
  [
    'a rotation without an overlap',
    first,
    tableOf(secret({ newest: 2 })),
    { replaced: ['web/db@1 by web/db@2'] },
  ],
  ['the end of an overlap', rotated, tableOf(secret({ newest: 2 })), {}],
  ['a revocation', rotated, revoked, { departing: ['web/db@2'] }],
  [
    'the newest taken back alone',
    rotated,
    tableOf(secret({ newest: 2, tombstone: true, superseded: [1] })),
    { replaced: ['web/db@2 by web/db@1'] },
  ],
  [
    'another name',
    first,
    tableOf(secret({ grants: [grant('web', 'other')] })),
    { arriving: ['web/other@1'], departing: ['web/db@1'] },
  ],
  [
    'another owner',
    first,
    tableOf(secret({ grants: [{ ...grant('web'), uid: 7 }] })),
    { altered: ['web/db@1'] },
  ],
  [
    'another mode, of another version: replaced says it all',
    first,
    tableOf(secret({ newest: 2, grants: [{ ...grant('web'), mode: 0o400 }] })),
    { replaced: ['web/db@1 by web/db@2'] },
  ],
])('%s', ([, before, after, expected]) => {
  const watchers = since(before);
  const news = watchers.news(after);
  expect(of(news)).toEqual({ ...NOTHING, ...expected });
  expect(of(watchers.news(after)), 'as long as nobody is told').toEqual(of(news));
  tell(watchers, news);
  expect(of(watchers.news(after)), 'once they are').toEqual(NOTHING);
});

test('what was not told yet is told as it is by then, or not at all', () => {
  const watchers = since(first);
  watchers.news(rotated);
  expect(of(watchers.news(tableOf(secret({ newest: 3 }))))).toEqual({
    ...NOTHING,
    replaced: ['web/db@1 by web/db@3'],
  });
  expect(of(watchers.news(revoked))).toEqual({ ...NOTHING, departing: ['web/db@1'] });
  expect(of(watchers.news(first))).toEqual(NOTHING);
});

test('a name that went and came again before anybody heard is one that was replaced', () => {
  const watchers = since(first);
  watchers.news(revoked);
  expect(of(watchers.news(tableOf(secret({ newest: 2 }))))).toEqual({
    ...NOTHING,
    replaced: ['web/db@1 by web/db@2'],
  });
});

test('a view is watched while its workload is registered: what is there when it comes is no news', () => {
  const unwatched: Table = { ...first, groups: new Map() };
  const watchers = since(unwatched);
  expect(of(watchers.news({ ...another, groups: new Map() }))).toEqual(NOTHING);
  expect(of(watchers.news(first))).toEqual(NOTHING);
  expect(of(watchers.news(another))).toEqual({ ...NOTHING, arriving: ['web/key@1'] });
  // It goes, and what changes meanwhile is nobody's.
  expect(of(watchers.news(unwatched))).toEqual(NOTHING);
  expect(of(watchers.news(another))).toEqual(NOTHING);
});

test('after another server: what it told, of the views that were watched, is where this one begins', () => {
  expect(of(new Watchers(first).news(another))).toEqual({ ...NOTHING, arriving: ['web/key@1'] });
  expect(of(new Watchers(another).news(revoked))).toEqual({
    ...NOTHING,
    departing: ['web/db@1', 'web/key@1'],
  });
  expect(of(new Watchers(rotated).news(rotated)), 'not of superseded versions').toEqual(NOTHING);
  expect(of(new Watchers({ ...another, groups: new Map() }).news(first))).toEqual(NOTHING);
});
