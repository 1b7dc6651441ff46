// What every Store must do, as a table of behaviours; each implementation's test runs it.
import { describe, expect, test } from 'vitest';
import type { Change, Store } from '../../service/store/store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** `open` returns a new, empty store; `reopen` closes it and opens the same one again. */
export function testStoreContract(
  open: () => Promise<Store>,
  reopen: (store: Store) => Promise<Store>,
): void {
  const text = async (store: Store, key: string): Promise<string | undefined> => {
    const stored = await store.get(key);
    return stored && Buffer.from(stored.value).toString();
  };

  describe('compare-and-set', () => {
    test('puts where the expectation holds, and numbers commits from 1', async () => {
      const store = await open();
      expect(
        await store.commit({ expect: [{ key: 'a', revision: 0 }], put: [{ key: 'a', value: bytes('1') }] }),
      ).toBe(1);
      expect(
        await store.commit({ expect: [{ key: 'a', revision: 1 }], put: [{ key: 'a', value: bytes('2') }] }),
      ).toBe(2);
      expect(await store.get('a')).toMatchObject({ revision: 2 });
      expect(await text(store, 'a')).toBe('2');
      await store.close();
    });

    test.each([0, 1, 3])('refuses revision %i of a key that stands at 2', async (revision) => {
      const store = await open();
      await store.commit({ expect: [], put: [{ key: 'b', value: bytes('b') }] });
      await store.commit({ expect: [], put: [{ key: 'a', value: bytes('a') }] });
      const commit = { expect: [{ key: 'a', revision }], put: [{ key: 'a', value: bytes('x') }] };
      await expect(store.commit(commit)).rejects.toMatchObject({ code: 'conflict' });
      expect(await text(store, 'a')).toBe('a');
      await store.close();
    });

    test('of two at once that expect the same, one wins', async () => {
      const store = await open();
      const commit = (value: string): Promise<number> =>
        store.commit({ expect: [{ key: 'a', revision: 0 }], put: [{ key: 'a', value: bytes(value) }] });
      const outcomes = await Promise.allSettled([commit('1'), commit('2')]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await store.close();
    });
  });

  test('a commit is whole or nothing', async () => {
    const store = await open();
    await store.commit({ expect: [], put: [{ key: 'old', value: bytes('old') }] });
    const seen: Change[] = [];
    using _watch = store.watch((change) => seen.push(change));
    const commit = {
      expect: [
        { key: 'old', revision: 1 },
        { key: 'new', revision: 7 },
      ],
      put: [{ key: 'new', value: bytes('new') }],
      remove: ['old'],
    };
    await expect(store.commit(commit)).rejects.toMatchObject({ code: 'conflict' });
    expect([await text(store, 'old'), await text(store, 'new')]).toEqual(['old', undefined]);
    expect(seen).toEqual([]);
    expect(await store.changesSince(1, 10)).toEqual([]);
    await store.close();
  });

  test('a removed key is absent, and its removal is a change', async () => {
    const store = await open();
    await store.commit({ expect: [], put: [{ key: 'a', value: bytes('a') }] });
    await store.commit({ expect: [{ key: 'a', revision: 1 }], put: [], remove: ['a'] });
    expect(await store.get('a')).toBeUndefined();
    expect(await store.changesSince(1, 10)).toEqual([{ revision: 2, keys: ['a'] }]);
    await store.commit({ expect: [{ key: 'a', revision: 0 }], put: [{ key: 'a', value: bytes('b') }] });
    await store.close();
  });

  test('watchers see every commit once, in order, until disposed of', async () => {
    const store = await open();
    const seen: Change[] = [];
    const watch = store.watch((change) => seen.push(change));
    const keys = ['a', 'b', 'c', 'd'];
    await Promise.all(keys.map((key) => store.commit({ expect: [], put: [{ key, value: bytes(key) }] })));
    watch[Symbol.dispose]();
    await store.commit({ expect: [], put: [{ key: 'e', value: bytes('e') }] });
    expect(seen).toEqual(keys.map((key, i) => ({ revision: i + 1, keys: [key] })));
    await store.close();
  });

  test('whoever was away resumes from a revision, in steps', async () => {
    const store = await open();
    for (const key of ['a', 'b', 'c']) await store.commit({ expect: [], put: [{ key, value: bytes(key) }] });
    expect(await store.changesSince(0, 2)).toEqual([
      { revision: 1, keys: ['a'] },
      { revision: 2, keys: ['b'] },
    ]);
    expect(await store.changesSince(2, 2)).toEqual([{ revision: 3, keys: ['c'] }]);
    expect(await store.changesSince(3, 2)).toEqual([]);
    expect(await store.changesSince(4, 2)).toBe('compacted');
    await store.close();
  });

  test('everything is there after closing and opening again', async () => {
    const before = await open();
    await before.commit({ expect: [], put: [{ key: 'a', value: bytes('a') }] });
    const store = await reopen(before);
    expect(await text(store, 'a')).toBe('a');
    expect(await store.changesSince(0, 9)).toEqual([{ revision: 1, keys: ['a'] }]);
    expect(await store.commit({ expect: [{ key: 'a', revision: 1 }], put: [], remove: ['a'] })).toBe(2);
    await store.close();
  });
}
