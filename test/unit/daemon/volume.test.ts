// The style of Kubernetes: all files of a workload switch at once, nobody finds another's, and only the server sees
// the link that it renames.
import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SERVER } from '../../../daemon/access.ts';
import type { Who } from '../../../daemon/access.ts';
import {
  NODE,
  dataNode,
  dataTmpNode,
  fileNode,
  generationNode,
  nameNode,
  viewNode,
  volumeNode,
} from '../../../daemon/node-id.ts';
import type { ServedFile, Table } from '../../../daemon/table.ts';
import { isErrno } from '../../../daemon/tree/node.ts';
import { SecretFile } from '../../../daemon/tree/secret-file.ts';
import { ViewNode } from '../../../daemon/tree/view.ts';
import { generationOf } from '../../../daemon/tree/volume.ts';
import { Volumes } from '../../../daemon/tree/volumes.ts';
import { ERRNO } from '../../../fuse/errno.ts';
import type { Attributes, Errno } from '../../../fuse/tree.ts';
import { parseFileName, parseWorkload } from '../../../manifest/names.ts';
import type { TargetPath, Workload } from '../../../manifest/names.ts';
import { API, WEB, grant, secret, tableOf } from './secrets.ts';

const { ENOENT, EACCES } = ERRNO;
const ESTALE = -constants.errno.ESTALE;

const keyed = (file = 'key', newest = 1) => secret({ name: 'key', newest, grants: [grant('web', file)] });
/** `web` has `db` and `key`, `api` has `db`. */
const first = tableOf(secret({ grants: [grant('web'), grant('api')] }), keyed());
const rotated = tableOf(
  secret({ newest: 2, superseded: [1], grants: [grant('web'), grant('api')] }),
  keyed(),
);

const namedOf = (table: Table, workload: Workload): readonly ServedFile[] =>
  table.files.filter(({ view, named }) => named && view === workload);

function show(volumes: Volumes, table: Table, isTaken = (_node: number): boolean => false): Volumes {
  const files = table.files.filter(({ named }) => named).map((file) => new SecretFile(file));
  volumes.show({
    workloads: table.views.map(({ workload }) => workload),
    named: Map.groupBy(files, ({ served }) => served.view),
    isTaken,
  });
  return volumes;
}

/** What the kernel does with a path: one lookup after another, and each link is read. */
function walk(volumes: Volumes, path: string, who: Who): Attributes | Errno {
  let at: Attributes | Errno = volumes.attributes();
  const names = path.split('/');
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (isErrno(at)) return at;
    const parent: Attributes = at;
    const directory = parent.node === NODE.volumes ? volumes : volumes.directory(parent.node, who);
    at = directory?.lookup(name, who) ?? ENOENT;
    if (isErrno(at) || at.kind !== 'symlink') continue;
    const target = volumes.link(at.node, who)?.target(who) ?? ENOENT;
    if (isErrno(target)) return target;
    names.unshift(...target.split('/'));
    at = parent;
  }
  return at;
}

const node = (answer: Attributes | Errno): number => (isErrno(answer) ? answer : answer.node);
const names = (volumes: Volumes, of: number, who: Who): unknown => {
  const entries = (of === NODE.volumes ? volumes : volumes.directory(of, who))?.entries(who) ?? ENOENT;
  return isErrno(entries) ? entries : entries.map(({ name }) => name);
};
const data = (volumes: Volumes, workload: Workload): unknown =>
  volumes.link(dataNode(workload), workload)?.target(workload);

describe('what its workload finds', () => {
  const volumes = show(new Volumes(), first);
  const generation = generationOf(namedOf(first, WEB));
  const db = fileNode(WEB, 'payments/db@1' as TargetPath);

  test('by each way, the same file as in its view', () => {
    const view = new ViewNode(viewNode(WEB), WEB, {
      shown: namedOf(first, WEB).map((file) => new SecretFile(file)),
      arriving: [],
      departing: [],
    });
    for (const path of ['web/db', 'web/..data/db', `web/${generation}/db`]) {
      const found = walk(volumes, path, WEB);
      expect(found).toEqual(view.lookup('db', WEB));
      expect(found).toMatchObject({ node: db, kind: 'file', mode: 0o440, uid: 1000, gid: 1001 });
    }
  });

  test('listed', () => {
    expect(names(volumes, NODE.volumes, WEB)).toEqual(['web']);
    expect(names(volumes, volumeNode(WEB), WEB)).toEqual(['..data', generation, 'db', 'key']);
    expect(names(volumes, generationNode(WEB, generation), WEB)).toEqual(['db', 'key']);
  });

  test('what is listed is found, as the same node and kind', () => {
    for (const of of [volumeNode(WEB), generationNode(WEB, generation)]) {
      const directory = volumes.directory(of, WEB)!;
      const entries = directory.entries(WEB);
      if (isErrno(entries)) throw new Error('not listed');
      expect(entries.length).toBeGreaterThan(1);
      for (const { name, ...entry } of entries) expect(directory.lookup(name, WEB)).toMatchObject(entry);
    }
  });

  test('a link is as long as what it leads to', () => {
    for (const name of ['..data', 'db', 'key']) {
      const found = volumes.directory(volumeNode(WEB), WEB)!.lookup(name, WEB) as Attributes;
      const link = volumes.link(found.node, WEB)!;
      expect(link.attributes(WEB)).toEqual(found);
      expect(found.size).toBe((link.target(WEB) as string).length);
      expect(found).toMatchObject({ kind: 'symlink', mode: 0o777 });
    }
  });

  test('nothing else', () => {
    for (const name of ['x', '..', '..x', `..${'0'.repeat(16)}`, '..data_tmp', '']) {
      expect(volumes.volume(volumeNode(WEB))!.lookup(name, WEB)).toBe(ENOENT);
    }
    expect(node(walk(volumes, `web/${generation}/x`, WEB))).toBe(ENOENT);
    expect(node(walk(volumes, 'nobody', WEB))).toBe(ENOENT);
    expect(volumes.directory(999_999, WEB)).toBeUndefined();
    expect(volumes.link(db, WEB)).toBeUndefined();
  });

  test('the kernel keeps a file’s name, and nothing that leads there', () => {
    const isLasting = (path: string): boolean => (walk(volumes, path, WEB) as Attributes).lasting ?? false;
    expect(isLasting(`web/${generation}/db`)).toBe(true);
    expect(isLasting('web')).toBe(false);
    expect(isLasting(`web/${generation}`)).toBe(false);
    for (const name of ['..data', generation, 'db']) {
      const found = volumes.directory(volumeNode(WEB), WEB)!.lookup(name, WEB) as Attributes;
      expect(found.lasting ?? false).toBe(false);
    }
  });

  test('a workload without files has an empty one', () => {
    const empty = show(new Volumes(), tableOf(secret()));
    expect(names(empty, volumeNode(API), API)).toEqual(['..data', generationOf([])]);
    expect(node(walk(empty, 'api/..data', API))).toBe(generationNode(API, generationOf([])));
    expect(names(empty, node(walk(empty, 'api/..data', API)), API)).toEqual([]);
  });
});

describe('others', () => {
  const volumes = show(new Volumes(), first);
  const generation = generationOf(namedOf(first, WEB));
  const inside = generationNode(WEB, generation);
  const top = volumes.directory(volumeNode(WEB), WEB)!;
  const within = volumes.directory(inside, WEB)!;
  const link = volumes.link(dataNode(WEB), WEB)!;
  const nameLink = volumes.link(nameNode(WEB, parseFileName('db')), WEB)!;

  test.for<[string, Who, number]>([
    ['another workload', API, ENOENT],
    ['a stranger', undefined, EACCES],
  ])('%s', ([, who, refusal]) => {
    expect(volumes.lookup('web', who)).toBe(refusal);
    expect(names(volumes, NODE.volumes, who)).toEqual(who === API ? ['api'] : []);
    for (const name of ['..data', generation, 'db', '..data_tmp', 'x']) {
      expect(top.lookup(name, who)).toBe(refusal);
    }
    for (const directory of [top, within]) {
      expect(directory.attributes(who)).toBe(refusal);
      expect(directory.entries(who)).toBe(EACCES);
    }
    expect(within.lookup('db', who)).toBe(refusal);
    expect(within.lookup('x', who)).toBe(refusal);
    for (const of of [link, nameLink]) {
      expect(of.attributes(who)).toBe(refusal);
      expect(of.target(who)).toBe(refusal);
    }
    // A node whose number somebody knows, or a descriptor that was passed on.
    expect(volumes.directory(volumeNode(WEB), who)?.lookup('db', who)).toBe(refusal);
    expect(volumes.directory(inside, who)).toBeUndefined();
    expect(volumes.link(dataNode(WEB), who)).toBeUndefined();
    expect(volumes.link(nameNode(WEB, parseFileName('db')), who)).toBeUndefined();
  });

  test('the same questions, asked by the workload, are answered', () => {
    expect(isErrno(volumes.lookup('web', WEB))).toBe(false);
    expect(isErrno(within.lookup('db', WEB))).toBe(false);
    expect(volumes.directory(inside, WEB)).toBeDefined();
    expect(link.target(WEB)).toBe(generation);
    expect(nameLink.target(WEB)).toBe('..data/db');
    // Both have a link of this name, to a file of their own.
    expect(node(walk(volumes, 'api/db', API))).toBe(fileNode(API, 'payments/db@1' as TargetPath));
  });
});

describe('a switch', () => {
  test('is at once: the old generation is gone, the new one complete', () => {
    const volumes = show(new Volumes(), first);
    const [old, next] = [first, rotated].map((table) => generationOf(namedOf(table, WEB))) as [
      string,
      string,
    ];
    expect(data(volumes, WEB)).toBe(old);
    expect(node(walk(volumes, `web/${old}/key`, WEB))).toBeGreaterThan(0);
    show(volumes, rotated);
    expect(data(volumes, WEB)).toBe(next);
    expect(next).not.toBe(old);
    for (const path of [`web/${old}`, `web/${old}/key`]) expect(walk(volumes, path, WEB)).toBe(ESTALE);
    const inside = generationNode(WEB, old);
    expect(volumes.directory(inside, WEB)!.lookup('key', WEB)).toBe(ESTALE);
    expect(volumes.directory(inside, API)).toBeUndefined();
    expect(node(walk(volumes, 'web/db', WEB))).toBe(fileNode(WEB, 'payments/db@2' as TargetPath));
    expect(node(walk(volumes, 'web/key', WEB))).toBe(fileNode(WEB, 'payments/key@1' as TargetPath));
  });

  test('of a generation that nobody saw, and of the one before the last, nothing is left', () => {
    const third = tableOf(secret({ newest: 3 }), keyed());
    const [one, two, three] = [first, rotated, third].map((table) => generationOf(namedOf(table, WEB)));
    const volumes = show(new Volumes(), first);
    expect(data(volumes, WEB)).toBe(one);
    show(show(volumes, rotated), third);
    expect(walk(volumes, `web/${two}`, WEB)).toBe(ENOENT);
    expect(walk(volumes, `web/${one}`, WEB)).toBe(ESTALE);
    expect(data(volumes, WEB)).toBe(three);
    show(volumes, rotated);
    expect(walk(volumes, `web/${one}`, WEB)).toBe(ENOENT);
    expect(walk(volumes, `web/${three}`, WEB)).toBe(ESTALE);
    expect(isErrno(walk(volumes, `web/${two}`, WEB))).toBe(false);
  });

  test('back to the same files is back to the same generation', () => {
    const volumes = show(show(show(new Volumes(), first), rotated), first);
    expect(data(volumes, WEB)).toBe(generationOf(namedOf(first, WEB)));
    expect(names(volumes, volumeNode(WEB), WEB)).toEqual(
      names(show(new Volumes(), first), volumeNode(WEB), WEB),
    );
  });

  test('is nobody else’s', () => {
    const volumes = show(new Volumes(), first);
    const before = data(volumes, API);
    show(volumes, tableOf(secret({ grants: [grant('web'), grant('api')] }), keyed('key', 2)));
    expect(data(volumes, API)).toBe(before);
    expect(data(volumes, WEB)).not.toBe(generationOf(namedOf(first, WEB)));
  });

  test('the workload is gone', () => {
    const volumes = show(new Volumes(), first);
    expect(node(walk(volumes, 'web', WEB))).toBe(volumeNode(WEB));
    show(volumes, { ...first, views: first.views.filter(({ workload }) => workload !== WEB) });
    expect(node(walk(volumes, 'web', WEB))).toBe(ENOENT);
    expect(names(volumes, NODE.volumes, WEB)).toEqual([]);
    expect(volumes.directory(volumeNode(WEB), WEB)).toBeUndefined();
    expect(volumes.link(dataNode(WEB), WEB)).toBeUndefined();
  });
});

describe('a generation’s name', () => {
  const base = namedOf(first, WEB);
  const change = (part: Partial<ServedFile>): ServedFile[] =>
    base.map((file, i) => (i === 0 ? { ...file, ...part } : file));

  test('its form, and one that must stay: readers hold it across an upgrade', () => {
    expect(generationOf(base)).toMatch(/^\.\.[0-9a-f]{16}$/);
    const fixed = { ...base[0]!, node: 1_154_230_146_676_233, uid: 1000, gid: 1001, mode: 0o440 };
    expect(generationOf([fixed])).toBe('..7c68558a4b892f77');
    expect(generationOf([])).toBe('..e3b0c44298fc1c14');
  });

  test.for<[string, readonly ServedFile[]]>([
    ['a version', change({ node: 77 })],
    ['a name', change({ file: parseFileName('other') })],
    ['an owner', change({ uid: 0 })],
    ['a group', change({ gid: 0 })],
    ['a mode', change({ mode: 0o400 })],
    ['a file less', base.slice(1)],
    ['a file more', [...base, { ...base[0]!, file: parseFileName('more'), node: 78 }]],
    ['two names exchanged', base.map((file, i) => ({ ...file, file: base[1 - i]!.file }))],
  ])('changes with %s', ([, files]) => {
    expect(generationOf(files)).not.toBe(generationOf(base));
  });

  test('and with nothing else', () => {
    expect(generationOf(base.toReversed())).toBe(generationOf(base));
    expect(generationOf(change({ slot: 5, size: 6, mtime: 7, expires: 8 }))).toBe(generationOf(base));
  });

  test('a version behind the named one, and another workload’s files, are not in it', () => {
    const volumes = show(new Volumes(), rotated);
    const before = data(volumes, WEB);
    show(volumes, { ...rotated, files: rotated.files.filter(({ named, view }) => named && view === WEB) });
    expect(data(volumes, WEB)).toBe(before);
  });
});

describe('the server', () => {
  const volumes = show(new Volumes(), first);
  const top = volumes.volume(volumeNode(WEB))!;

  test('walks to a volume, and alone finds the link that it renames', () => {
    expect(node(volumes.lookup('web', SERVER))).toBe(volumeNode(WEB));
    const tmp = top.lookup('..data_tmp', SERVER) as Attributes;
    expect(tmp).toMatchObject({ node: dataTmpNode(WEB), kind: 'symlink' });
    // Were they one inode, rename(2) would do nothing.
    expect(node(top.lookup('..data', SERVER))).not.toBe(tmp.node);
    expect((top.lookup('..data', SERVER) as Attributes).size).toBe(tmp.size);
    expect(tmp.size).toBe((data(volumes, WEB) as string).length);
    expect(names(volumes, volumeNode(WEB), WEB)).not.toContain('..data_tmp');
    expect(names(volumes, NODE.volumes, SERVER)).toEqual([]);
  });

  test('renames that, and nothing else', () => {
    expect(top.rename('..data_tmp', '..data')).toBe(0);
    for (const [name, to] of [
      ['..data', '..data_tmp'],
      ['..data_tmp', 'db'],
      ['db', '..data'],
      ['db', 'key'],
    ] as const) {
      expect(top.rename(name, to)).toBe(ENOENT);
    }
    expect(volumes.volume(viewNode(WEB))).toBeUndefined();
  });
});

describe('nodes', () => {
  test('vectors: they outlive a restart', () => {
    const generation = '..0123456789abcdef';
    expect([
      volumeNode(WEB),
      generationNode(WEB, generation),
      dataNode(WEB),
      dataTmpNode(WEB),
      nameNode(WEB, parseFileName('db')),
      volumeNode(API),
    ]).toEqual([
      1440675591373799, 1188738633358834, 1961222619860628, 3508127895869143, 4018861393729215,
      2031899383402901,
    ]);
    expect(NODE).toMatchObject({ volumes: 4, volume: 5 });
  });

  test('none is taken for another, whatever the names', () => {
    const words = ['a', 'ab', 'volume', 'generation', 'data', 'data-tmp', 'name', 'view', 'file'];
    const workloads = words.map(parseWorkload);
    const nodes = workloads.flatMap((workload) => [
      viewNode(workload),
      volumeNode(workload),
      dataNode(workload),
      dataTmpNode(workload),
      ...words.flatMap((word) => [
        generationNode(workload, word),
        nameNode(workload, parseFileName(word)),
        fileNode(workload, word as TargetPath),
      ]),
    ]);
    expect(new Set(nodes).size).toBe(nodes.length);
    expect(Math.max(...nodes)).toBeLessThan(2 ** 52);
    expect(Math.min(...nodes)).toBeGreaterThan(NODE.volume);
  });

  test('a link whose node a file has is left out, and the rest is there', () => {
    const taken = nameNode(WEB, parseFileName('db'));
    const volumes = show(new Volumes(), first);
    expect(node(walk(volumes, 'web/db', WEB))).toBeGreaterThan(0);
    show(volumes, first, (of) => of === taken);
    expect(node(walk(volumes, 'web/db', WEB))).toBe(ENOENT);
    expect(names(volumes, volumeNode(WEB), WEB)).not.toContain('db');
    expect(node(walk(volumes, 'web/key', WEB))).toBeGreaterThan(0);
    show(volumes, first);
    expect(node(walk(volumes, 'web/db', WEB))).toBeGreaterThan(0);
  });

  test('nobody looks, nothing is asked of a file', () => {
    const file = new Proxy(new SecretFile(first.files[0]!), {
      get: () => {
        throw new Error('looked at');
      },
    });
    const volumes = new Volumes();
    const shown = { workloads: [WEB], named: new Map([[WEB, [file]]]), isTaken: () => false };
    volumes.show(shown);
    volumes.show(shown);
    expect(node(volumes.lookup('web', WEB))).toBe(volumeNode(WEB));
    const top = volumes.volume(volumeNode(WEB))!;
    expect(node(top.lookup('..data_tmp', SERVER))).toBe(dataTmpNode(WEB));
    expect(node(top.lookup('..data', SERVER))).toBe(dataNode(WEB));
    expect(() => top.lookup('db', WEB)).toThrow('looked at');
  });
});

test('any files: every name leads to its own file, through any sequence of tables', () => {
  const tableArbitrary = fc
    .uniqueArray(fc.stringMatching(/^\.?[A-Za-z0-9_][A-Za-z0-9._-]{0,6}$/), { maxLength: 6 })
    .map((some) =>
      some.map((file, i): ServedFile => ({ ...first.files[0]!, file: parseFileName(file), node: 100 + i })),
    )
    .map((files): Table => ({ ...first, files: files.map((file) => ({ ...file, view: WEB, named: true })) }));
  fc.assert(
    fc.property(fc.array(tableArbitrary, { minLength: 1, maxLength: 4 }), (tables) => {
      const volumes = new Volumes();
      for (const table of tables) {
        show(volumes, table);
        for (const { file, node: of } of table.files)
          expect(node(walk(volumes, `web/${file}`, WEB))).toBe(of);
        expect(names(volumes, node(walk(volumes, 'web/..data', WEB)), WEB)).toEqual(
          table.files.map(({ file }) => file),
        );
      }
    }),
    { numRuns: 50 },
  );
});
