// What has expired is refused by everybody, and signed again by whoever may, when it is asked for in so many words. The
// service runs in this process, so that months can pass; commands share its clock.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Context } from '../../../client/cli/command.ts';
import { renew } from '../../../client/cli/commands/renew.ts';
import { Identities } from '../../../client/cli/identities.ts';
import { Output } from '../../../client/cli/output.ts';
import { Passphrases } from '../../../client/cli/passphrase.ts';
import { RealmDirectory } from '../../../client/cli/realm-directory.ts';
import { makeRoot } from '../../../client/cli/root-signing.ts';
import { Session } from '../../../client/cli/session.ts';
import { systemClock } from '../../../client/clock.ts';
import { BIN } from '../../support/cli-stage.ts';
import { startTestService } from '../../support/realm-service.ts';
import type { TestService } from '../../support/realm-service.ts';

const clock = systemClock();
const DAY = 24 * 3600_000;

let service: TestService;
let path: string;
let said: string;

beforeEach(async () => {
  service = await startTestService();
  path = mkdtempSync(join(tmpdir(), 'lapse-renew-'));
  const { url, pin = '' } = service.client.address;
  await lapse('init', '--service', url, '--pin', pin, '--no-passphrase');
  await lapse('namespace', 'add', 'payments');
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(path, { recursive: true });
});

async function lapse(...words: readonly string[]): Promise<void> {
  const env = { PATH: process.env['PATH'], HOME: path, LAPSE_REALM: join(path, 'operator') };
  const child = spawn(join(BIN, 'lapse'), words, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  expect(await once(child, 'exit')).toEqual([0, null]);
}

function context(): Context {
  const directory = new RealmDirectory(join(path, 'operator'));
  const shared = { ...clock, now: () => service.clock.now() };
  const identities = new Identities(directory, [], new Passphrases(undefined, shared), shared);
  said = '';
  const write = (text: string): void => void (said += text);
  const output = new Output(false, { stdout: { write }, stderr: { write } });
  return {
    clock: shared,
    unbroken: shared,
    output,
    directory,
    identities,
    input: 'command',
    signal: new AbortController().signal,
  };
}

test(
  'nothing is signed before half of its time is over; then all that can be',
  { timeout: 90_000 },
  async () => {
    service.clock.advance(14 * DAY);
    await renew(context(), [], {});
    expect(said).toBe('Nothing that can be signed here needs it.\n');
    service.clock.advance(2 * DAY);
    await renew(context(), [], {});
    expect(said).toBe('Signed again: payments.\n');
    service.clock.advance(2 * DAY);
    await renew(context(), [], {});
    expect(said).toBe('Nothing that can be signed here needs it.\n');
  },
);

test('a namespace that has expired lapses, and comes back', { timeout: 90_000 }, async () => {
  service.clock.advance(31 * DAY);
  const { state } = await Session.open(context());
  expect(state.failures.get('payments')).toMatchObject({ code: 'metadata-expired' });
  rmSync(join(path, 'operator/trust'), { recursive: true });
  await expect(renew(context(), ['payments'], {})).rejects.toMatchObject({ code: 'usage' });
  await renew(context(), ['payments'], { expired: true });
  expect((await Session.open(context())).state.failures.size).toBe(0);
});

test('root is extended, also when it has expired', { timeout: 90_000 }, async () => {
  service.clock.advance(200 * DAY);
  await makeRoot(context(), { yes: true }, () => ({}));
  expect(said).toContain('Root 2 is in force: 1 of 1 sign it.');
  service.clock.advance(366 * DAY);
  await expect(Session.open(context())).rejects.toMatchObject({ code: 'metadata-expired' });
  await makeRoot(context(), { yes: true, expired: true }, () => ({}));
  await renew(context(), ['targets', 'fleet', 'fleet-hosts', 'payments'], { expired: true });
  expect((await Session.open(context())).state.failures.size).toBe(0);
});

test('targets and the fleet are signed again, as long as root lives', { timeout: 90_000 }, async () => {
  service.clock.advance(364 * DAY);
  await renew(context(), ['payments'], { expired: true });
  expect((await Session.open(context())).state.failures.size).toBe(0);
  await renew(context(), [], {});
  expect(said).toBe('Signed again: targets, fleet, fleet-hosts.\n');
});
