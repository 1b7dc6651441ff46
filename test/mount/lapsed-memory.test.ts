// Where plaintext stands in the memory of a running lapsed: in the locked arena while a file is open, and nowhere
// otherwise. The whole address space is searched, so both threads; the search must find what is there to be found.
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { expect, it } from 'vitest';
import { TrustStore } from '../../client/trust-store.ts';
import { Updater } from '../../client/updater.ts';
import { httpTransport } from '../../client/transport.ts';
import { systemClock } from '../../client/clock.ts';
import { trustDirectory } from '../../daemon/host/host-file.ts';
import { HostAuthorizer, readIdentity } from '../../daemon/host/identity.ts';
import { Keyring } from '../../daemon/host/keyring.ts';
import { parseSecretReference } from '../../manifest/names.ts';
import { lockedBytes } from '../../daemon/vault/arena.ts';
import { Host } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import type { Probe } from '../support/lapsed-probe.ts';

const ARENA = 4 << 20;

let host: Host;
let web: Probe;

onOneMachine(async () => {
  host = await Host.start({ lapsed: false });
  // It is stopped while it is searched, and the holder shall not take it for dead.
  await host.startLapsed({ arena: '4 MiB', linger: '300ms', dead_after: '60s' });
  web = await host.inWorkload('web');
  return host;
});

interface Mapping {
  readonly start: number;
  readonly length: number;
  readonly locked: boolean;
  readonly readable: boolean;
  readonly head: string;
}

function mappings(pid: number): readonly Mapping[] {
  const smaps = readFileSync(`/proc/${pid}/smaps`, 'latin1');
  return smaps
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter(Boolean)
    .map((text) => {
      const [, start = '', end = '', access = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(text) ?? [];
      return {
        start: Number.parseInt(start, 16),
        length: Number.parseInt(end, 16) - Number.parseInt(start, 16),
        locked: /^VmFlags:.* lo\b/m.test(text),
        readable: access.startsWith('r') && !/\[v(var|syscall)/.test(text),
        head: text.split('\n')[0] ?? '',
      };
    });
}

interface Found {
  readonly inArena: number;
  readonly elsewhere: readonly string[];
}

/** Counts a value in the memory of a process, which stands still meanwhile. */
function find(pid: number, value: string | Buffer): Found {
  process.kill(pid, 'SIGSTOP');
  try {
    return search(pid, Buffer.from(value));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

function search(pid: number, value: Buffer): Found {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let inArena = 0;
  const elsewhere: string[] = [];
  for (const { start, length, locked, head } of mappings(pid).filter(({ readable }) => readable)) {
    const hits = count(memory, start, length, value);
    if (locked) inArena += hits;
    else if (hits > 0) elsewhere.push(head);
  }
  closeSync(memory);
  return { inArena, elsewhere };
}

const CHUNK = 8 << 20;
const chunk = Buffer.alloc(CHUNK);

/** Chunks overlap by the length of the value. */
function count(memory: number, start: number, length: number, value: Buffer): number {
  let hits = 0;
  for (let at = 0; at < length; at += CHUNK - value.length + 1) {
    const bytes = chunk.subarray(0, readSync(memory, chunk, 0, Math.min(CHUNK, length - at), start + at));
    for (let hit = bytes.indexOf(value); hit >= 0; hit = bytes.indexOf(value, hit + 1)) hits++;
  }
  return hits;
}

it('the arena is locked', () => {
  const smaps = readFileSync(`/proc/${host.lapsed.server}/smaps`, 'latin1');
  expect(lockedBytes(smaps)).toBeGreaterThanOrEqual(ARENA);
  const arena = mappings(host.lapsed.server).filter(({ locked }) => locked);
  expect(arena.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThanOrEqual(ARENA);
});

it('plaintext stands in the arena while a file is open, and nowhere after that', async () => {
  const value = randomBytes(30).toString('base64url');
  const { server: pid } = host.lapsed;
  await host.put('db', value, '--grant', 'web');
  expect(find(pid, value), 'at rest').toEqual({ inArena: 0, elsewhere: [] });

  const held = await web.open('self/db');
  for (let i = 0; i < 100; i++) expect(await web.read(held)).toBe(value);
  await web.map(held);
  expect(await web.touch()).toBe(value);
  expect(find(web.pid, value).elsewhere, 'control: the reader has it').not.toEqual([]);
  expect(find(pid, value), 'control: open').toEqual({ inArena: 1, elsewhere: [] });

  await host.revoke('db');
  expect(find(pid, value), 'revoked').toEqual({ inArena: 0, elsewhere: [] });
});

it('plaintext is gone when nobody held a file open for the time it may linger', async () => {
  const value = randomBytes(30).toString('base64url');
  const { server: pid } = host.lapsed;
  await host.put('brief', value, '--grant', 'web');
  expect(await web.cat('self/brief')).toBe(value);
  expect(find(pid, value).elsewhere).toEqual([]);
  await host.statusOf('a vault without plaintext', ({ vault }) => vault.open === 0);
  expect(find(pid, value), 'lingered').toEqual({ inArena: 0, elsewhere: [] });
  expect(await web.cat('self/brief'), 'control: still served').toBe(value);
});

/** The data key of a secret's newest version, and the pool's key it hangs on: with the host's own keys, as it does itself. */
async function dataKey(name: string): Promise<Buffer> {
  const clock = systemClock();
  const { state } = host.places;
  const own = await readIdentity(state);
  const transport = httpTransport(own.service, clock, new HostAuthorizer(own, clock));
  const updater = await Updater.open({
    anchor: own.anchor,
    storeFor: (realm) => new TrustStore(trustDirectory(state), realm),
    transport,
    clock,
  });
  const now = await updater.refresh();
  const reference = parseSecretReference(`payments/${name}`);
  const newest = now.secrets.get(reference.namespace)?.get(reference.name)?.newest;
  const keyring = new Keyring({ ...own, transport, onChange: () => undefined });
  const record = now.hosts.get(own.name);
  keyring.follow(now, record, new Map());
  const context = { realm: own.realm, ...reference, version: newest!.version };
  return Buffer.from(await keyring.unwrap(newest!.keys, context, record!.pools));
}

it('a data key stands in the arena from when it came until it is revoked, and nowhere else', async () => {
  const { server: pid } = host.lapsed;
  await host.put('keyed', 'value', '--grant', 'web');
  const key = await dataKey('keyed');
  expect(find(pid, key)).toEqual({ inArena: 1, elsewhere: [] });
  expect(await web.cat('self/keyed')).toBe('value');
  expect(find(pid, key)).toEqual({ inArena: 1, elsewhere: [] });
  await host.revoke('keyed');
  expect(find(pid, key)).toEqual({ inArena: 0, elsewhere: [] });
});
