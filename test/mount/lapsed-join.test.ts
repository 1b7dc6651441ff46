// Joining a realm over real HTTPS: one invitation lets in one host with the keys that it made itself, and nobody who stands
// in between, the service among them, can put others in their place. Nothing that fails leaves a host behind.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as at } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { httpTransport } from '../../client/transport.ts';
import { readHostFile } from '../../daemon/host/host-file.ts';
import { readHostKeys } from '../../daemon/host/host-keys.ts';
import { join } from '../../daemon/host/join.ts';
import type { JoinOptions } from '../../daemon/host/join.ts';
import { parseHostName, parsePoolName, parseRealmId } from '../../manifest/names.ts';
import { checkJoin, encodeInvite } from '../../manifest/realm/invite.ts';
import type { Invite, JoinRequest } from '../../manifest/realm/invite.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import { soon } from '../support/lapsed.ts';
import { startPayments, startTestService } from '../support/realm-service.ts';
import type { Payments, TestService } from '../support/realm-service.ts';
import type { TestHost } from '../support/realm.ts';
import { makeHost } from '../support/realm.ts';

const LAPSED = fileURLToPath(new URL('../../bin/lapsed', import.meta.url));
const clock = systemClock();
const directory = mkdtempSync(at(tmpdir(), 'lapse-join-'));

let payments: Payments;
let stranger: TestService;
let tests = 0;
let helpers = 0;
let state: string;
let name: string;

beforeAll(async () => {
  payments = await startPayments();
  stranger = await startTestService();
});

afterAll(async () => {
  await payments.service[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

beforeEach(() => {
  name = `host-${++tests}`;
  state = at(directory, name);
});

function invitation(changes: Partial<Invite> = {}): Invite {
  const { url, pin = '' } = payments.service.client.address;
  return {
    ...{ service: url, pin, realm: payments.realm.id },
    id: randomBytes(16).toString('hex'),
    secret: randomBytes(32),
    pools: [parsePoolName('default')],
    expires: Date.now() + 60_000,
    ...changes,
  };
}

/** Whoever awaits it hears of a failure; nobody does when the test fails before. */
function ask(invite: Invite, more: Partial<JoinOptions> = {}): Promise<boolean> {
  const options = { state, name: parseHostName(name), clock, onAsked: () => undefined, ...more };
  const asked = join(encodeInvite(invite), options);
  asked.catch(() => undefined);
  return asked;
}

const waiting = (): Promise<readonly JoinRequest[]> =>
  httpTransport(payments.service.client.address, clock).joins();

async function requestOf({ id }: Invite): Promise<JoinRequest> {
  let found: JoinRequest | undefined;
  await expect
    .poll(async () => (found = (await waiting()).find((each) => each.id === id)), soon)
    .toBeDefined();
  return found!;
}

/** As the fleet's signer does it, with these keys. */
async function approve(keys: Omit<JoinRequest, 'id' | 'mac'>): Promise<void> {
  const { realm, service } = payments;
  realm.hosts.set(keys.name, { ...keys, kid: thumbprint(keys.signing) } as TestHost);
  const { publish } = await realm.join(`helper-${++helpers}`);
  expect((await service.client.publish(publish)).status).toBe(200);
}

const isHost = (): boolean => existsSync(at(state, 'host.json'));

function run(...args: readonly string[]): {
  child: ChildProcess;
  ended: Promise<{ code: number; out: string; err: string }>;
} {
  const child = spawn(LAPSED, ['join', '--state', state, '--name', name, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([out, err, [code]]) => ({ code: code as number, out, err }),
  );
  return { child, ended };
}

describe('lapsed join', () => {
  it('asks, shows its keys, waits, and is a member with exactly these; a second run has nothing to do', async () => {
    const invite = invitation();
    const line = encodeInvite(invite);
    const { child, ended } = run();
    child.stdin?.end(line);
    const request = await requestOf(invite);
    checkJoin(request, invite, Date.now());
    await approve(request);
    const { code, out, err } = await ended;
    expect([code, out]).toEqual([0, expect.stringContaining(`${name} is a member`)]);
    for (const key of [request.signing, request.encryption]) expect(err).toContain(thumbprint(key));
    expect(await readHostFile(state)).toEqual({
      service: { url: invite.service, pin: invite.pin },
      realm: invite.realm,
      name,
    });
    expect((await readHostKeys(state)).signing).toEqual(request.signing);
    for (const file of ['host.ed25519', 'host.x25519', 'host.json'])
      expect(statSync(at(state, file)).mode & 0o777).toBe(0o600);
    // The invitation, in no form.
    const kept = readdirSync(state, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    for (const file of kept) {
      const bytes = readFileSync(at(file.parentPath, file.name));
      expect([bytes.includes(invite.secret as Buffer), bytes.includes(line)]).toEqual([false, false]);
    }
    expect(await ask(invite)).toBe(true);
    expect((await waiting()).some(({ id }) => id === invite.id)).toBe(false);
  });

  it('is killed while it waits: the next run goes on with the same keys', async () => {
    const invite = invitation();
    const first = run();
    first.child.stdin?.end(encodeInvite(invite));
    const request = await requestOf(invite);
    first.child.kill('SIGKILL');
    await first.ended.catch(() => undefined);
    const second = ask(invite);
    await approve(request);
    expect(await second).toBe(true);
    expect((await readHostKeys(state)).signing).toEqual(request.signing);
  });

  it('--no-wait ends when it has asked; approved later, it is a member', async () => {
    const invite = invitation();
    expect(await ask(invite, { patienceMs: 0 })).toBe(false);
    expect(isHost()).toBe(true);
    await approve(await requestOf(invite));
    expect(await ask(invite, { patienceMs: 0 })).toBe(true);
  });

  it('nobody answers: join-unanswered; a line that is none: invite-malformed', async () => {
    const invite = invitation();
    await expect(ask(invite, { patienceMs: 300 })).rejects.toMatchObject({ code: 'join-unanswered' });
    const { child, ended } = run();
    child.stdin?.end('lapse-join-1.nonsense\n');
    expect(await ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('[invite-malformed]') as string,
    });
  });
});

describe('an invitation', () => {
  it('that was altered makes a request that no signer takes', async () => {
    const invite = invitation();
    const secret = Buffer.from(invite.secret);
    secret[0]! ^= 1;
    await ask({ ...invite, secret }, { patienceMs: 0 });
    const request = await requestOf(invite);
    expect(() => checkJoin(request, invite, Date.now())).toThrow(
      expect.objectContaining({ code: 'join-refused' }) as Error,
    );
  });

  it('that has expired: invite-expired, and nobody is asked', async () => {
    const invite = invitation({ expires: Date.now() - 1000 });
    await expect(ask(invite)).rejects.toMatchObject({ code: 'invite-expired' });
    expect([isHost(), (await waiting()).some(({ id }) => id === invite.id)]).toEqual([false, false]);
  });

  it('that another machine has used already: invite-used', async () => {
    const invite = invitation();
    await ask(invite, { patienceMs: 0 });
    state = at(directory, `${name}-thief`);
    await expect(ask(invite, { name: parseHostName(`${name}-thief`) })).rejects.toMatchObject({
      code: 'invite-used',
    });
    expect(isHost()).toBe(false);
  });

  it('of another realm: realm-mismatch', async () => {
    const realm = parseRealmId('ab'.repeat(32));
    await expect(ask(invitation({ realm }))).rejects.toMatchObject({ code: 'realm-mismatch' });
    expect(isHost()).toBe(false);
  });

  it('whose service is somebody else, who has not the pinned key: pin-mismatch, and nothing was sent', async () => {
    const invite = invitation({ service: stranger.client.url });
    await expect(ask(invite)).rejects.toMatchObject({ code: 'pin-mismatch' });
    expect([isHost(), stranger.events.some((event) => event.includes('join'))]).toEqual([false, false]);
  });
});

describe('the service', () => {
  it('that puts other keys into a request is caught by whoever approves it', async () => {
    const invite = invitation();
    await ask(invite, { patienceMs: 0 });
    const request = await requestOf(invite);
    checkJoin(request, invite, Date.now());
    const other = makeHost(payments.realm.id, name);
    for (const swapped of [
      { ...request, signing: other.signing },
      { ...request, encryption: other.encryption },
      { ...request, name: parseHostName('other') },
      { ...request, pools: [parsePoolName('other')] },
    ])
      expect(() => checkJoin(swapped, invite, Date.now())).toThrow(
        expect.objectContaining({ code: 'join-refused' }) as Error,
      );
  });

  it('and if other keys are approved all the same, the host says so loudly: host-keys-swapped', async () => {
    const invite = invitation();
    const asking = ask(invite);
    const failure = expect(asking).rejects.toMatchObject({
      code: 'host-keys-swapped',
      message: expect.stringContaining('OTHER KEYS') as string,
    });
    await approve({ ...(await requestOf(invite)), signing: makeHost(payments.realm.id, name).signing });
    await failure;
  });
});

describe('who is a host already', () => {
  async function joined(): Promise<Invite> {
    const invite = invitation();
    const asking = ask(invite);
    await approve(await requestOf(invite));
    await asking;
    return invite;
  }

  it('a name that is taken: host-name-taken, and nobody is asked', async () => {
    await joined();
    state = at(directory, `${name}-second`);
    const invite = invitation();
    await expect(ask(invite)).rejects.toMatchObject({ code: 'host-name-taken' });
    expect([isHost(), (await waiting()).some(({ id }) => id === invite.id)]).toEqual([false, false]);
  });

  it('this machine, under another name: host-joined', async () => {
    await joined();
    await expect(ask(invitation(), { name: parseHostName('other') })).rejects.toMatchObject({
      code: 'host-joined',
    });
    expect((await readHostFile(state))?.name).toBe(name);
  });

  it('this machine, in another realm: host-joined, before anybody is asked', async () => {
    await joined();
    const invite = invitation({ realm: parseRealmId('ab'.repeat(32)), service: 'https://127.0.0.1:1' });
    await expect(ask(invite)).rejects.toMatchObject({ code: 'host-joined' });
  });

  it('this machine, which was removed: host-removed', async () => {
    await joined();
    const { realm, service } = payments;
    expect((await service.client.publish(await realm.remove(name))).status).toBe(200);
    await expect(ask(invitation())).rejects.toMatchObject({ code: 'host-removed' });
  });
});
