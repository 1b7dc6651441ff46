// A view while watchers are told: what arrives is there for nobody before the kernel makes it, and what departs is there
// for the server alone, which the kernel must not keep: everybody else would find it there.
import { expect, test } from 'vitest';
import { SERVER } from '../../../daemon/access.ts';
import type { Who } from '../../../daemon/access.ts';
import { viewNode } from '../../../daemon/node-id.ts';
import { SecretFile } from '../../../daemon/tree/secret-file.ts';
import { ViewNode } from '../../../daemon/tree/view.ts';
import { ERRNO } from '../../../fuse/errno.ts';
import { API, WEB, grant, secret, tableOf } from './secrets.ts';

const { ENOENT, EACCES } = ERRNO;
/** Who enters. */
const BOTH: readonly Who[] = [WEB, SERVER];
const named = (file: string, newest = 1): SecretFile => {
  const { files } = tableOf(secret({ name: file, newest, grants: [grant('web', file)] }));
  return new SecretFile(files[0]!);
};
const [stays, comes, goes] = ['stays', 'comes', 'goes'].map((file) => named(file)) as [
  SecretFile,
  SecretFile,
  SecretFile,
];

function view(shown: readonly SecretFile[] = [stays]): ViewNode {
  return new ViewNode(viewNode(WEB), WEB, { shown, arriving: [comes], departing: [goes] });
}

const listed = (of: ViewNode, who: Who): unknown => {
  const entries = of.entries(who);
  return typeof entries === 'number' ? entries : entries.map(({ name }) => name);
};

test('what stays is for its workload, and for the kernel to keep', () => {
  expect(view().lookup('stays', WEB)).toMatchObject({ node: stays.served.node, lasting: true });
  expect(view().lookup('stays', API)).toBe(ENOENT);
  expect(view().lookup('stays', undefined)).toBe(EACCES);
});

test('what arrives is there for nobody, and for its workload once it is made', () => {
  const web = view();
  for (const who of BOTH) expect(web.lookup('comes', who)).toBe(ENOENT);
  expect(listed(web, WEB)).toEqual(['stays']);
  expect(web.create('comes')).toMatchObject({ node: comes.served.node, lasting: true });
  expect(web.lookup('comes', WEB)).toMatchObject({ node: comes.served.node, lasting: true });
  expect(listed(web, WEB)).toEqual(['stays', 'comes']);
  for (const name of ['comes', 'stays', 'goes', 'none']) expect(web.create(name), name).toBe(ENOENT);
});

test('what departs is there for the server alone, not to be kept, until it is taken away', () => {
  const web = view();
  expect(web.lookup('goes', SERVER)).toMatchObject({ node: goes.served.node, lasting: false });
  expect([web.lookup('goes', WEB), web.lookup('goes', API), web.lookup('goes', undefined)]).toEqual([
    ENOENT,
    ENOENT,
    EACCES,
  ]);
  expect(listed(web, WEB)).toEqual(['stays']);
  expect(web.remove('goes')).toBe(0);
  expect(web.lookup('goes', SERVER)).toBe(ENOENT);
  for (const name of ['goes', 'stays', 'comes', 'none']) expect(web.remove(name), name).toBe(ENOENT);
});

test('a name that departs and is another file already leads to that one, for everybody', () => {
  const again = named('goes', 2);
  const web = view([stays, again]);
  for (const who of BOTH)
    expect(web.lookup('goes', who)).toMatchObject({ node: again.served.node, lasting: true });
});
