// Assembles the daemon and owns its life: start lapsed, follow the service, serve, and end in order, or leave everything
// to the next one. On a fatal error nothing may hang: the vault is zeroed and the process kills itself, since an ordinary
// exit would wait for ever for a thread that sits in a read; the holder then starts the next, or takes the mount away.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { systemClock } from '../client/clock.ts';
import type { Clock } from '../client/clock.ts';
import { httpTransport } from '../client/transport.ts';
import { TrustStore } from '../client/trust-store.ts';
import { Updater } from '../client/updater.ts';
import { EXIT, Held } from '../fuse/hold/held.ts';
import type { Config } from './config.ts';
import { startControl } from './control/server.ts';
import { DailyCap } from './drill/daily-cap.ts';
import { KeptDrills } from './drill/kept.ts';
import { systemProber } from './drill/prober.ts';
import { strike } from './drill/strike.ts';
import { Warden } from './drill/warden.ts';
import { isInMemory, runDirectory } from './engine/places.ts';
import type { Engine } from './engine/engine.ts';
import { startEngine } from './engine/start.ts';
import { DaemonError } from './errors.ts';
import { wantsOf } from './entitlement.ts';
import { Follower } from './follower.ts';
import { HandOver } from './hand-over.ts';
import { trustDirectory } from './host/host-file.ts';
import { HostAuthorizer, readIdentity } from './host/identity.ts';
import { Keyring } from './host/keyring.ts';
import { WorkloadRegistry } from './identity/workloads.ts';
import { Leases } from './leases.ts';
import { Loader } from './loader.ts';
import type { Log } from './log.ts';
import { Receipts } from './receipts.ts';
import { ServedRecord } from './runtime/served-file.ts';
import { StateFile } from './runtime/state-file.ts';
import { readWorkloads, writeWorkloads } from './runtime/workloads-file.ts';
import type { Invalidator } from './server.ts';
import { Serving } from './serving.ts';
import { EMPTY_TABLE } from './table.ts';
import { Arena, lockedMemory } from './vault/arena.ts';
import { SlotTable } from './vault/slot.ts';
import { Vault } from './vault/vault.ts';

const TICK_MS = 100;
const SWEEP_MS = 1000;
/** How often the holder hears that both threads live: at least five times in its limit; milliseconds. */
const BEAT_MS = 200;
const BEATS = 5;
/** How often one that waits to serve looks whether there still is a holder, in milliseconds. */
const ALONE_MS = 500;
/** How long an orderly end may take, in milliseconds, before the process kills itself. */
const END_MS = 1800;

/** How long an orderly end waits for a disk, in milliseconds. */
const SAVE_MS = 500;

/** What the demo's sabotage may replace, to prove that its checks would notice. */
export interface DaemonParts {
  readonly worker?: URL;
  readonly wrapInvalidator?: (real: Invalidator) => Invalidator;
}

/**
 * Runs until SIGTERM or SIGINT, or until the next one takes over; rejects when it cannot start. `phase` is what the holder
 * gave (fuse/hold); the engine "fuse-native" has none.
 */
export async function runDaemon(
  config: Config,
  log: Log,
  phase: string | undefined,
  parts: DaemonParts = {},
): Promise<void> {
  const held = config.engine === 'kernel' ? new Held(phase) : undefined;
  // Before there is a mount, and for good: a signal that nobody handles would leave the mount behind.
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort());

  const clock = systemClock();
  const host = await readIdentity(config.state);
  const transport = httpTransport(host.service, clock, new HostAuthorizer(host, clock));
  const updater = await Updater.open({
    anchor: host.anchor,
    storeFor: (realm) => new TrustStore(trustDirectory(config.state), realm),
    transport,
    clock,
    wants: wantsOf(host),
  });

  const memory = lockedMemory(config.arena);
  const arena = new Arena(memory);
  const slots = SlotTable.create(config.slots);
  const vault = new Vault(memory, arena, slots, config.lingerMs);
  const leases = new Leases(() => clock.boot());
  const receipts = new Receipts({ host, transport, clock, log });
  const cap = await DailyCap.open(config.state, config.drill.cap, clock, log);

  const fatal = (error: unknown): never => die(error, config, vault, log);
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const engine = await startEngine({
    config,
    held,
    clock,
    log,
    memory,
    arena,
    slots,
    leases,
    onOpened: (slot) => vault.noteOpened(slot),
    onFailure: fatal,
    onGone: () => cannotGoOn(vault, log),
    worker: parts.worker ?? new URL('./worker.ts', import.meta.url),
  });
  const real = engine.server;
  const server = { ...real, invalidator: parts.wrapInvalidator?.(real.invalidator) ?? real.invalidator };
  const run = runDirectory(config.control);
  const workloadsFile = new StateFile(join(run, 'workloads.json'));
  const served = new ServedRecord(new StateFile(join(run, 'served.json')));
  const handOver = new HandOver(new StateFile(join(run, 'followed.json')), updater);
  // Without a list the next server would not start, so the first is always written, even an empty one.
  let isRemembered = false;
  const serving = new Serving({
    realm: host.realm,
    clock,
    leases,
    vault,
    server,
    record: {
      async extend(table) {
        // What only takes away waits for no file.
        if (!served.extend(table) && isRemembered) return;
        await engine.remember(served.nodes);
        isRemembered = true;
      },
      async reduce(table) {
        served.reduce(table);
        await engine.remember(served.nodes);
      },
    },
    onFailure: fatal,
    onEffect: (effect) => warden.note(effect, receipts.note(effect)),
  });
  const { realm, encryptionKey } = host;
  const keyring = new Keyring({ realm, encryptionKey, transport, onChange: () => serving.retry() });
  serving.loadWith((events) => new Loader(transport, keyring, vault, events));
  const follower = new Follower({ self: host, updater, transport, keyring, serving, leases, clock, log });
  const drills = join(run, 'drill');
  const warden = new Warden({
    ...{ host, clock, log, cap, config: config.drill, random: Math.random },
    strike: (drawn) => strike(drawn, (means) => engine.strike(means)),
    stage: {
      get workloads() {
        return serving.workloads;
      },
      register: (entry) => serving.register(entry),
      // It ends with its probe, if this server ends first.
      unregister: (id) => (ending.signal.aborted ? Promise.resolve() : serving.unregister(id)),
      leaseEnd: (namespace) => leases.end(leases.place(namespace)),
      cutOff: (namespace, ms, signal) => follower.cutOff(namespace, ms, signal),
    },
    prober: systemProber(config.drill, drills, config.mount, clock),
    kept: new KeptDrills(new StateFile(join(run, 'drill.json'))),
    say: (statement) => receipts.say(statement),
  });
  let following: Promise<void> = Promise.resolve();
  using _tick = clock.every(TICK_MS, () => serving.tick());
  using _sweep = clock.every(SWEEP_MS, () => serving.sweep());

  const inTime = (): void => {
    const late = new DaemonError('worker-failed', 'the end took too long');
    clock.deadline(END_MS).addEventListener('abort', () => fatal(late));
  };

  try {
    if (held?.phase === 'next') {
      // Nobody would ever tell it to go.
      using _alone = clock.every(ALONE_MS, () => held.beat());
      following = follower.run(ending.signal);
      await Promise.all([serving.settled, follower.renewed]);
      held.ready();
      log.info('everything is loaded; serving when the other one has ended');
      await held.go;
      // Without it, or when the other one died before it could say how far it was, the next one may not serve. One that
      // resumes may: that refuses until it has news.
      await handOver.catchUp(() => follower.apply()).catch(fatal);
      await serving.loaded();
    }
    using _beats = beating(engine, config, clock, ending, log);
    if (held?.phase !== 'next') {
      handOver.forget();
      held?.ready();
    }
    await engine.resume();
    const workloads = new WorkloadRegistry({
      known: restored(() => readWorkloads(workloadsFile), log),
      save: (list) => writeWorkloads(workloadsFile, list),
    });
    await serving.begin(
      held === undefined || held.phase === 'fresh' ? EMPTY_TABLE : served.read(),
      workloads,
    );
    warden.begin();
    const control = await startControl(config.control, {
      ...{ host, serving, follower, updater, keyring, receipts, leases, vault, warden, clock },
    });
    void receipts.run(ending.signal);
    if (held?.phase !== 'next') following = follower.run(ending.signal);
    log.info(`serving ${config.mount}, control on ${config.control}`);
    if (!isInMemory(run))
      log.warn(`${run} is not in memory (tmpfs): a disk that stands still stops this server, too`);
    // Node would write it at an orderly end only, and the next server is wanted after the other ones.
    void serving.settled.then(flushCompileCache);

    const yielding = await Promise.race([aborted(ending.signal), held?.yield.then(() => true) ?? never]);
    inTime();
    await control.close();
    if (yielding) {
      ending.abort();
      warden.leave();
      await serving.rest();
      handOver.tell();
      await engine.handOver();
      vault[Symbol.dispose]();
      log.info('the next one serves now');
      process.exit(EXIT.yielded);
    }
    const drilled = warden.end();
    await serving.end();
    await engine.close();
    await drilled;
    // Or a service could show the next start what was before; but a disk that stands still keeps nobody here.
    await Promise.race([following, clock.sleep(SAVE_MS)]);
    log.info('ended; nothing is mounted any more');
    process.exit(process.exitCode ?? EXIT.ended);
  } catch (error) {
    // What is mounted would stay, and a thread in its read would keep the process from ending.
    inTime();
    ending.abort();
    vault[Symbol.dispose]();
    await engine.close();
    if (serving.begun) await serving.end();
    throw error;
  }
}

const never = new Promise<never>(() => undefined);

/** Beats until nobody hears it any more: then this one must end, for nobody would withdraw in its place. */
function beating(
  engine: Engine,
  { deadAfterMs }: Config,
  clock: Clock,
  ending: AbortController,
  log: Log,
): Disposable {
  let under = false;
  return clock.every(Math.min(BEAT_MS, deadAfterMs / BEATS), () => {
    if (under || ending.signal.aborted) return;
    under = true;
    engine
      .beat()
      .catch((error: unknown) => {
        log.error(`ending: ${(error as Error).message}`);
        ending.abort();
      })
      .finally(() => (under = false));
  });
}

/** Registrations that cannot be read are none: then every container is an unknown caller. */
function restored<T>(read: () => readonly T[], log: Log): readonly T[] {
  try {
    return read();
  } catch (error) {
    log.error(`the registrations are lost: ${(error as Error).message}`);
    return [];
  }
}

async function aborted(signal: AbortSignal): Promise<false> {
  if (!signal.aborted) await once(signal, 'abort');
  return false;
}

/** The connection has ended, and with it the serving thread's last read: an ordinary exit does not hang. */
function cannotGoOn(vault: Vault, log: Log): never {
  log.error('fatal: the mount was taken away');
  vault[Symbol.dispose]();
  process.exit(EXIT.failed);
}

function die(error: unknown, config: Config, vault: Vault, log: Log): never {
  try {
    log.error(`fatal: ${error instanceof Error ? error.message : String(error)}`);
    vault[Symbol.dispose]();
    if (config.engine === 'fuse-native')
      spawnSync('umount', ['-i', '-c', '-l', '--', config.mount], { timeout: 1000, stdio: 'ignore' });
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
  throw error;
}
