// A host's files and its tokens: nothing half written counts, keys stay the same, and a clock that is off is noticed.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { readHostFile, writeHostFile } from '../../../daemon/host/host-file.ts';
import { ensureHostKeys, readHostKeys } from '../../../daemon/host/host-keys.ts';
import { HostAuthorizer, readIdentity } from '../../../daemon/host/identity.ts';
import { fittingName } from '../../../daemon/host/join.ts';
import { parseHostName, parseRealmId } from '../../../manifest/names.ts';
import { verifyHostToken } from '../../../manifest/realm/host-token.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import { makeHost } from '../../support/realm.ts';
import { ManualClock } from '../client/manual-clock.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-host-file-'));
afterAll(() => rmSync(directory, { recursive: true }));

const REALM = parseRealmId('ab'.repeat(32));
const HOST = {
  service: { url: 'https://127.0.0.1:7700', pin: 'sha256:x' },
  realm: REALM,
  name: parseHostName('web-1'),
};
const ROOT = Buffer.from('{"signed":1}');

let tests = 0;
let state: string;
beforeEach(() => (state = join(directory, String(++tests))));

describe('host.json', () => {
  test('is not there before a join', async () => {
    expect(await readHostFile(state)).toBeUndefined();
    await expect(readIdentity(state)).rejects.toMatchObject({ code: 'host-not-joined' });
  });

  test('comes back as it was written, and readable by its owner only', async () => {
    await writeHostFile(state, HOST, ROOT);
    expect(await readHostFile(state)).toEqual(HOST);
    expect(readFileSync(join(state, 'root.json'))).toEqual(ROOT);
    expect([statSync(state), statSync(join(state, 'host.json'))].map(({ mode }) => mode & 0o777)).toEqual([
      0o700, 0o600,
    ]);
    expect(readdirSync(state).sort()).toEqual(['host.json', 'root.json']);
  });

  test('a run that was interrupted in the middle leaves the one before, or none', async () => {
    await writeHostFile(state, HOST, ROOT);
    writeFileSync(join(state, 'host.json.new'), '{"service":');
    expect(await readHostFile(state)).toEqual(HOST);
    await writeHostFile(state, { ...HOST, name: parseHostName('web-2') }, ROOT);
    expect((await readHostFile(state))?.name).toBe('web-2');
  });

  test.for([
    ['torn', '{"service":"https://127.0.0.1:7700"'],
    ['empty', ''],
    ['of no realm', '{"service":"http://127.0.0.1:1","name":"web-1"}'],
    ['with a name that is none', `{"service":"http://127.0.0.1:1","realm":"${REALM}","name":"../x"}`],
    ['too large', JSON.stringify({ service: 'x'.repeat(5000) })],
  ])('%s: host-unreadable, never none', async ([, text = '']) => {
    await writeHostFile(state, HOST, ROOT);
    writeFileSync(join(state, 'host.json'), text);
    await expect(readHostFile(state)).rejects.toMatchObject({ code: 'host-unreadable' });
  });

  test('where nothing can be written: host-unwritable', async () => {
    writeFileSync(state, '');
    await expect(writeHostFile(state, HOST, ROOT)).rejects.toMatchObject({ code: 'host-unwritable' });
    await expect(ensureHostKeys(state)).rejects.toMatchObject({ code: 'host-unwritable' });
  });

  test('without its root: host-unreadable', async () => {
    await writeHostFile(state, HOST, ROOT);
    await ensureHostKeys(state);
    rmSync(join(state, 'root.json'));
    await expect(readIdentity(state)).rejects.toMatchObject({ code: 'host-unreadable' });
  });
});

describe('the keys', () => {
  const FILES = ['host.ed25519', 'host.x25519'];

  test('are made once, of mode 0600, and stay', async () => {
    const keys = await ensureHostKeys(state);
    expect(readdirSync(state).sort()).toEqual([...FILES, 'keys.lock']);
    expect(FILES.map((name) => statSync(join(state, name)).mode & 0o777)).toEqual([0o600, 0o600]);
    for (const again of [await ensureHostKeys(state), await readHostKeys(state)])
      expect([again.kid, again.encryption]).toEqual([keys.kid, keys.encryption]);
  });

  test('two runs at once end with the same keys', async () => {
    const both = await Promise.all([ensureHostKeys(state), ensureHostKeys(state)]);
    expect(new Set(both.map(({ kid }) => kid)).size).toBe(1);
  });

  test('a run that was interrupted between the two is gone on with', async () => {
    const { kid } = await ensureHostKeys(state);
    rmSync(join(state, 'host.x25519'));
    writeFileSync(join(state, 'host.x25519.new'), 'half');
    expect((await ensureHostKeys(state)).kid).toBe(kid);
    expect(existsSync(join(state, 'host.x25519'))).toBe(true);
  });

  test('that others can read are refused', async () => {
    await ensureHostKeys(state);
    chmodSync(join(state, 'host.ed25519'), 0o640);
    await expect(ensureHostKeys(state)).rejects.toMatchObject({ code: 'key-unreadable' });
  });
});

describe('a token', () => {
  const host = makeHost(REALM, 'web-1');
  const find = (kid: string): HostRecord | undefined => (kid === host.kid ? (host as never) : undefined);
  const identity = { name: host.name, realm: REALM, kid: host.kid, signingKey: host.signingKey };

  test('is one of this host, for this realm, and another one each time', async () => {
    const clock = new ManualClock();
    const authorizer = new HostAuthorizer(identity, clock);
    const tokens = await Promise.all([authorizer.token(), authorizer.token()]);
    const [a, b] = await Promise.all(tokens.map((token) => verifyHostToken(token, find, REALM, clock.now())));
    expect([a?.host, a?.jti === b?.jti]).toEqual(['web-1', false]);
    const other = parseRealmId('cd'.repeat(32));
    await expect(verifyHostToken(tokens[0], find, other, clock.now())).rejects.toMatchObject({
      code: 'token-malformed',
    });
  });

  test.for([
    ['token-expired', -3_600_000],
    ['token-early', 3_600_000],
  ] as const)(
    '%s: from then on the service’s time counts, whatever the wall clock does',
    async ([code, off]) => {
      const clock = new ManualClock();
      const service = new ManualClock();
      clock.wall += off;
      const authorizer = new HostAuthorizer(identity, clock);
      const accepted = async (): Promise<string> =>
        verifyHostToken(await authorizer.token(), find, REALM, service.now()).then(
          () => 'accepted',
          (error: unknown) => (error as { code: string }).code,
        );
      expect(await accepted()).toBe(code);
      expect(authorizer.refused(code, service.now())).toBe(true);
      for (const jump of [0, 7_200_000, -7_200_000]) {
        clock.wall += jump;
        for (const each of [clock, service]) each.advance(600_000);
        expect(await accepted()).toBe('accepted');
      }
    },
  );

  test('of the second in which the service starts: refused as older than that, and then no more', async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 31, 12, 0, 0, 900));
    const since = clock.now();
    const authorizer = new HostAuthorizer(identity, clock);
    const issued = async (): Promise<number> =>
      (
        JSON.parse(Buffer.from((await authorizer.token()).split('.')[1]!, 'base64url').toString()) as {
          iat: number;
        }
      ).iat * 1000;
    expect(await issued()).toBeLessThan(since);
    authorizer.refused('token-expired', Math.floor(clock.now() / 1000) * 1000);
    expect(await issued()).toBeGreaterThanOrEqual(since);
  });

  test('refused for another reason, or without a date: not asked again', () => {
    const authorizer = new HostAuthorizer(identity, new ManualClock());
    for (const code of ['host-removed', 'host-unknown', 'token-replayed', 'token-malformed', ''])
      expect(authorizer.refused(code, 1)).toBe(false);
    expect(authorizer.refused('token-expired', undefined)).toBe(false);
  });
});

test.for([
  ['web-1', 'web-1'],
  ['Web_1.Example', 'web-1.example'],
  ['-x', 'x'],
  ['ümläut', 'ml-ut'],
  ['___', 'host'],
  ['', 'host'],
  ['a'.repeat(80), 'a'.repeat(63)],
])('the machine’s name %s becomes %s', ([hostname = '', name]) => {
  expect(fittingName(hostname)).toBe(name);
});
