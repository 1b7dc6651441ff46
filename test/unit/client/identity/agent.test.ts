// The agent in a process of its own: it signs and decrypts what it was given, for as long as it was told, tells nobody a
// key, and survives whatever is written to its socket.
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactEncrypt, importJWK } from 'jose';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../../client/clock.ts';
import { AgentClient } from '../../../../client/identity/agent/agent-client.ts';
import { receiveFrame, sendFrame } from '../../../../client/identity/agent/frame.ts';
import type { Frame } from '../../../../client/identity/agent/frame.ts';
import { agentSocket } from '../../../../client/identity/agent/place.ts';
import { holdIdentity } from '../../../../client/identity/identity.ts';

const clock = systemClock();
/** How long an agent may take to end, on a machine that stands still for a while; vitest's own would be a second. */
const PATIENT = { timeout: 10_000 };
let runtime: string;
let realm: string;
let agent: AgentClient;

beforeEach(async () => {
  runtime = mkdtempSync(join(tmpdir(), 'lapse-agent-'));
  realm = join(runtime, 'realm');
  mkdirSync(realm);
  vi.stubEnv('XDG_RUNTIME_DIR', runtime);
  agent = await AgentClient.of(realm, clock);
});

afterEach(async () => {
  await agent.lock();
  vi.unstubAllEnvs();
  rmSync(runtime, { recursive: true });
});

const sockets = (): readonly string[] =>
  existsSync(join(runtime, 'lapse')) ? readdirSync(join(runtime, 'lapse')) : [];

async function pid(): Promise<number> {
  return (await raw({ header: { op: 'list' }, body: Buffer.alloc(0) })).header['pid'] as number;
}

async function raw(frame: Frame): Promise<Frame> {
  const socket = connect({ path: await agentSocket(realm), allowHalfOpen: true });
  sendFrame(socket, frame);
  return receiveFrame(socket).finally(() => socket.destroy());
}

/** What comes back for bytes that are no frame. */
async function garbage(bytes: Uint8Array): Promise<string> {
  const socket = connect(await agentSocket(realm));
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

function isAlive(process: number): boolean {
  return (
    existsSync(`/proc/${process}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${process}/status`, 'latin1'))
  );
}

test('without an agent nothing is unlocked, and that is no error', async () => {
  expect(await agent.list()).toEqual([]);
  expect(await agent.lock()).toBe(false);
  expect(sockets()).toEqual([]);
});

test('it signs and decrypts as the identity; a second one joins it; lock ends it', async () => {
  const [mine, other] = [randomBytes(64), randomBytes(64)];
  const me = holdIdentity('me', mine).public;
  await agent.add('me', mine, 60);
  await agent.add('other', other, 3600);
  const unlocked = await agent.list();
  expect(unlocked.map(({ identity }) => identity)).toEqual([me, holdIdentity('other', other).public]);
  expect(unlocked[0]!.seconds).toBeGreaterThan(50);

  const identity = agent.identity(me);
  const bytes = randomBytes(3 << 20);
  const x = Buffer.from(me.signing, 'hex').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  expect(verify(null, bytes, key, await identity.sign(bytes))).toBe(true);

  const plain = randomBytes(32);
  const jwe = (to: object) =>
    importJWK({ ...to }, 'ECDH-ES').then((recipient) =>
      new CompactEncrypt(plain).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' }).encrypt(recipient),
    );
  expect(Buffer.from(await identity.decrypt(await jwe(me.decryption)))).toEqual(plain);
  const foreign = await jwe(holdIdentity('x', randomBytes(64)).public.decryption);
  await expect(identity.decrypt(foreign)).rejects.toMatchObject({ code: 'decryption-refused' });

  const process = await pid();
  expect(await agent.lock()).toBe(true);
  await vi.waitFor(() => expect(isAlive(process)).toBe(false), PATIENT);
  expect(sockets()).toEqual([]);
  await expect(identity.sign(bytes)).rejects.toMatchObject({ code: 'identity-locked' });
});

test('its process has a session of its own, no environment, no core dumps, and no key in its arguments', async () => {
  const secret = randomBytes(64);
  await agent.add('me', secret, 60);
  const process = await pid();
  const file = (name: string): string => readFileSync(`/proc/${process}/${name}`, 'latin1');
  expect(file('limits')).toMatch(/^Max core file size +0 +0 /m);
  // What the shell adds, and nothing of ours.
  expect(file('environ')).toBe('PWD=/\0');
  const [, , , , , session] = file('stat').split(' ');
  expect(session).toBe(String(process));
  for (const spelling of ['hex', 'base64', 'base64url', 'latin1'] as const) {
    expect(file('cmdline')).not.toContain(secret.toString(spelling).slice(0, 16));
  }
  const socket = await agentSocket(realm);
  expect(lstatSync(join(runtime, 'lapse')).mode & 0o777).toBe(0o700);
  expect(lstatSync(socket).mode & 0o777).toBe(0o600);
});

test('it forgets each identity when its time is over, and ends after the last', async () => {
  const [short, long] = [randomBytes(64), randomBytes(64)];
  await agent.add('short', short, 1);
  await agent.add('long', long, 60);
  const process = await pid();
  const identity = agent.identity(holdIdentity('short', short).public);
  await vi.waitFor(
    async () => expect((await agent.list()).map((held) => held.identity.name)).toEqual(['long']),
    PATIENT,
  );
  await expect(identity.sign(Buffer.from('x'))).rejects.toMatchObject({ code: 'identity-locked' });
  // A new time replaces the old one.
  await agent.add('long', long, 1);
  await vi.waitFor(() => expect(isAlive(process)).toBe(false), PATIENT);
  expect(await agent.list()).toEqual([]);
});

test('garbage gets no answer, and the next request is served', async () => {
  await agent.add('me', randomBytes(64), 60);
  const length = (n: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(n);
    return bytes;
  };
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    randomBytes(1000),
    length(4),
    length(0xffffffff),
    Buffer.concat([length(5), Buffer.from('[1,2]')]),
    Buffer.concat([length(2), Buffer.from('{}').subarray(0, 1)]),
    Buffer.concat([length(20_000), Buffer.alloc(20_000, 0x20)]),
    Buffer.alloc(9 << 20),
  ]) {
    expect(await garbage(bytes)).toBe('');
  }
  expect(await agent.list()).toHaveLength(1);
});

test('refused, each with a code, and nothing changes', async () => {
  await agent.add('me', randomBytes(64), 60);
  const requests: readonly [string, Frame['header'], number][] = [
    ['no operation', {}, 0],
    ['an unknown one', { op: 'export' }, 0],
    ['a key that is too short', { op: 'add', name: 'me', seconds: 60 }, 63],
    ['a time beyond a day', { op: 'add', name: 'me', seconds: 86_401 }, 64],
    ['a name that is none', { op: 'add', name: '../me', seconds: 60 }, 64],
    ['to sign for nobody', { op: 'sign' }, 5],
    ['to sign for a stranger', { op: 'sign', keyid: 'a'.repeat(64) }, 5],
    ['to decrypt nothing', { op: 'decrypt', keyid: 'a'.repeat(64) }, 0],
  ];
  for (const [what, header, length] of requests) {
    const answer = await raw({ header, body: randomBytes(length) });
    expect(answer.header['error'], what).toBeTypeOf('string');
    expect(answer.body, what).toHaveLength(0);
    expect(await agent.list()).toHaveLength(1);
  }
});

test('a socket that nobody serves any more is taken over', async () => {
  await agent.add('me', randomBytes(64), 60);
  const first = await pid();
  process.kill(first, 'SIGKILL');
  await vi.waitFor(() => expect(isAlive(first)).toBe(false), PATIENT);
  expect(sockets()).toHaveLength(1);
  expect(await agent.list()).toEqual([]);
  await agent.add('me', randomBytes(64), 60);
  expect(await pid()).not.toBe(first);
});

test('one whose socket was removed ends', async () => {
  await agent.add('me', randomBytes(64), 60);
  const process = await pid();
  rmSync(await agentSocket(realm));
  await vi.waitFor(() => expect(isAlive(process)).toBe(false), PATIENT);
});

test('a directory that others can enter is neither used nor asked', async () => {
  await agent.add('me', randomBytes(64), 60);
  chmodSync(join(runtime, 'lapse'), 0o711);
  expect(await agent.list()).toEqual([]);
  await expect(agent.add('me', randomBytes(64), 60)).rejects.toMatchObject({ code: 'agent-unavailable' });
  chmodSync(join(runtime, 'lapse'), 0o700);
  expect(await agent.list()).toHaveLength(1);
});
