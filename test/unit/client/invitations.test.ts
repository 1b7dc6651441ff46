// An invitation is for one host, once, in time, and only for the directory that made it.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Invitations } from '../../../client/cli/invitations.ts';
import { RealmDirectory } from '../../../client/cli/realm-directory.ts';
import { parsePoolName, parseRealmId } from '../../../manifest/names.ts';
import { joinRequest, parseInvite } from '../../../manifest/realm/invite.ts';
import type { JoinRequest } from '../../../manifest/realm/invite.ts';
import { makeHost } from '../../support/realm.ts';

const REALM = parseRealmId('ab'.repeat(32));
const POOLS = [parsePoolName('default')];
const NOW = Date.UTC(2026, 0, 1);
const EXPIRES = NOW + 3600_000;

let path: string;
let invitations: Invitations;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'lapse-invitations-'));
  invitations = new Invitations(new RealmDirectory(path), REALM);
});

afterEach(() => rmSync(path, { recursive: true }));

async function invited(): Promise<Buffer> {
  const { line } = await invitations.make({ service: 'http://127.0.0.1:1' }, POOLS, EXPIRES);
  return line;
}

function asked(line: Buffer, name = 'web-1'): JoinRequest {
  return joinRequest(parseInvite(line), makeHost(REALM, name));
}

test('it is a private file until it is used', async () => {
  const request = asked(await invited());
  const [file = ''] = readdirSync(path);
  expect(file).toBe(`invite.${request.id}`);
  expect(statSync(join(path, file)).mode & 0o777).toBe(0o600);
  await invitations.check(request, NOW);
  await invitations.use(request);
  await invitations.burn(request);
  expect(readdirSync(path)).toEqual([]);
  await expect(invitations.check(request, NOW)).rejects.toMatchObject({ code: 'join-unknown' });
});

test('once it is used for one host it is good for no other, and for that one until it is in', async () => {
  const line = await invited();
  const request = asked(line);
  await invitations.use(request);
  await expect(invitations.check(asked(line), NOW)).rejects.toMatchObject({ code: 'join-unknown' });
  await expect(invitations.use(asked(line))).rejects.toMatchObject({ code: 'join-unknown' });
  await invitations.check(request, EXPIRES + 1);
  await invitations.use(request);
  await invitations.sweep(EXPIRES + 1, new Set());
  await invitations.check(request, EXPIRES + 1);
});

test('another name, other keys, other pools, another invitation, too late', async () => {
  const line = await invited();
  const request = asked(line);
  const other = makeHost(REALM, 'web-1');
  for (const change of [
    { name: makeHost(REALM, 'web-2').name },
    { signing: other.signing },
    { encryption: other.encryption },
    { pools: [...POOLS, parsePoolName('west')] },
    { mac: '00'.repeat(32) },
  ]) {
    await expect(invitations.check({ ...request, ...change }, NOW)).rejects.toMatchObject({
      code: 'join-refused',
    });
  }
  await expect(invitations.check(request, EXPIRES)).rejects.toMatchObject({ code: 'invite-expired' });
  const stranger = { ...request, id: '00'.repeat(16) };
  await expect(invitations.check(stranger, NOW)).rejects.toMatchObject({ code: 'join-unknown' });
});

test('what is over is swept away', async () => {
  const used = asked(await invited());
  await invitations.use(used);
  await invited();
  await invitations.sweep(EXPIRES - 1, new Set());
  expect(readdirSync(path)).toHaveLength(2);
  await invitations.sweep(EXPIRES, new Set([makeHost(REALM, 'web-9').kid]));
  expect(readdirSync(path)).toHaveLength(1);
  await invitations.sweep(EXPIRES, new Set([readdirSync(path)[0]!.split('.')[2]!]));
  expect(readdirSync(path)).toEqual([]);
});
