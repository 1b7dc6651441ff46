// Assembles the daemon and owns its life: start lapsed, follow the service, serve, and end in order. On a fatal
// error nothing may hang: everything is denied by zeroing the vault, the mount goes, and the process kills itself,
// since an ordinary exit would wait for ever for a thread that sits in a read.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../client/clock.ts';
import { httpTransport } from '../client/transport.ts';
import { TrustStore } from '../client/trust-store.ts';
import { Updater } from '../client/updater.ts';
import type { Config } from './config.ts';
import { startControl } from './control/server.ts';
import { startEngine } from './engine.ts';
import { DaemonError } from './errors.ts';
import { Follower } from './follower.ts';
import type { Invalidator } from './invalidator.ts';
import { Lease } from './lease.ts';
import { Loader } from './loader.ts';
import type { Log } from './log.ts';
import { Serving } from './serving.ts';
import { Arena, lockedMemory } from './vault/arena.ts';
import { Keyring } from './vault/keyring.ts';
import { SlotTable } from './vault/slot.ts';
import { Vault } from './vault/vault.ts';

const TICK_MS = 100;
const SWEEP_MS = 1000;
/** How long an orderly end may take, in milliseconds, before the process kills itself. */
const END_MS = 1800;

/** What the demo's sabotage may replace, to prove that its checks would notice. */
export interface DaemonParts {
  readonly worker?: URL;
  readonly wrapInvalidator?: (real: Invalidator) => Invalidator;
}

/** Runs until SIGTERM or SIGINT; rejects when it cannot start. */
export async function runDaemon(config: Config, log: Log, parts: DaemonParts = {}): Promise<void> {
  const clock = systemClock();
  const anchor = await readAnchor(config.root);
  const keyring = await Keyring.read(config.poolKeys);
  const transport = httpTransport(config.service, clock);
  const updater = await Updater.open(
    anchor,
    (realm) => new TrustStore(config.state, realm),
    transport,
    clock,
  );

  const memory = lockedMemory(config.arena);
  const arena = new Arena(memory);
  const slots = SlotTable.create(config.slots);
  const vault = new Vault(memory, arena, slots, config.lingerMs);
  const lease = new Lease(() => clock.boot());

  const fatal = (error: unknown): never => die(error, config, vault, log);
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  // Before there is a mount, and for good: a signal that nobody handles would leave the mount behind.
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort());

  const real = await startEngine({
    config,
    clock,
    log,
    memory,
    arena,
    slots,
    lease,
    onOpened: (slot) => vault.noteOpened(slot),
    onFailure: fatal,
    worker: parts.worker ?? new URL('./worker.ts', import.meta.url),
  });
  const server = { ...real, invalidator: parts.wrapInvalidator?.(real.invalidator) ?? real.invalidator };
  const serving = new Serving({ realm: updater.realm, clock, lease, vault, server, onFailure: fatal });
  serving.loadWith((events) => new Loader(transport, keyring, vault, events));
  const follower = new Follower({ updater, transport, serving, lease, clock, log });

  try {
    const control = await startControl(config.control, { serving, follower, updater, lease, vault, clock });
    using _tick = clock.every(TICK_MS, () => serving.tick());
    using _sweep = clock.every(SWEEP_MS, () => serving.sweep());
    log.info(`serving ${config.mount}, control on ${config.control}`);
    void follower.run(ending.signal);
    await aborted(ending.signal);
    const late = clock.deadline(END_MS);
    late.addEventListener('abort', () => fatal(new DaemonError('worker-failed', 'the end took too long')));
    await control.close();
    await serving.end();
  } finally {
    vault[Symbol.dispose]();
    await server.close();
  }
  log.info('ended; nothing is mounted any more');
  process.exit(process.exitCode ?? 0);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

async function readAnchor(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new DaemonError('config-unreadable', `cannot read the realm's root ${path}`, { cause });
  }
}

function die(error: unknown, config: Config, vault: Vault, log: Log): never {
  try {
    log.error(`fatal: ${error instanceof Error ? error.message : String(error)}`);
    vault[Symbol.dispose]();
    spawnSync('umount', ['-i', '-c', '-l', '--', config.mount], { timeout: 1000, stdio: 'ignore' });
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
  throw error;
}
