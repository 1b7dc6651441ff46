// A held server that serves the tree of the hold tests: node hold-server.ts RUN PRIVATE PUBLIC CONTROL BEAT_MS PHASE. It
// shows every step that a real one owes its holder, and does what the switches in CONTROL say.
import { Worker } from 'node:worker_threads';
import { barrier } from '../../fuse/barrier.ts';
import { DEVICE, EXIT, Held } from '../../fuse/hold/held.ts';
import { HeldState } from '../../fuse/hold/state.ts';
import { takeOver } from '../../fuse/hold/take-over.ts';
import { abort, attach, clearStale, publish } from '../../fuse/mount.ts';
import type { Agreement } from '../../fuse/negotiation.ts';
import { Notifier } from '../../fuse/notify.ts';
import { isOn, LISTED, takes } from '../support/fuse-hold-tree.ts';
import type { WorkerInput, WorkerReport } from './hold-worker.ts';

const [run = '', privately = '', publicly = '', control = '', beatMs] = process.argv.slice(2);
const NAME = { fsname: 'hold-test', subtype: 'lapse' } as const;
const deadline = (): AbortSignal => AbortSignal.timeout(20_000);

const held = new Held(process.argv.at(-1));
const state = new HeldState(run);
const notifier = new Notifier(DEVICE);
const flags = new Int32Array(new SharedArrayBuffer(8));
const ready = Promise.withResolvers<Agreement>();
const first = Promise.withResolvers<bigint>();
let beating: NodeJS.Timeout | undefined;
const loaded = Promise.withResolvers<undefined>();
const stopped = Promise.withResolvers<undefined>();
let ending = false;

function startWorker(agreement?: Agreement): void {
  const resumed = held.phase === 'resume';
  const input: WorkerInput = { device: DEVICE, control, agreement, resumed, flags };
  const worker = new Worker(new URL('hold-worker.ts', import.meta.url), { workerData: input });
  worker.on('message', (report: WorkerReport) => {
    if ('agreement' in report) ready.resolve(report.agreement);
    else if ('first' in report) first.resolve(report.first);
    else if ('loaded' in report) loaded.resolve(undefined);
    else if ('stopped' in report) stopped.resolve(undefined);
    else process.stderr.write(`fault: ${report.fault}\n`);
  });
  void stopped.promise.then(() => {
    if (Atomics.load(flags, 1) === 0) void end();
  });
}

function go(): void {
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
}

async function fresh(): Promise<void> {
  for (const place of [publicly, privately]) await clearStale(place, { ...NAME, signal: deadline() });
  await attach(DEVICE, { directory: privately, ...NAME, signal: deadline(), readOnly: false });
  startWorker();
  go();
  await state.saveAgreement(await ready.promise);
  await state.saveNodes(LISTED);
  await publish({ from: privately, to: publicly, signal: deadline() });
  await state.saveMounts([publicly, privately]);
  held.ready();
  void beat();
}

async function later(): Promise<void> {
  const resumes = held.phase === 'resume';
  if (resumes && isOn(control, 'resume-crash')) process.kill(process.pid, 'SIGKILL');
  if (resumes && isOn(control, 'resume-cannot')) process.exit(EXIT.failed);
  startWorker(await state.agreement());
  if (isOn(control, resumes ? 'resume-never-ready' : 'next-never-ready')) await new Promise(() => undefined);
  await loaded.promise;
  if (!resumes) held.ready();
  await held.go;
  go();
  await ready.promise;
  if (resumes) held.ready();
  void beat();
  const nodes = resumes ? await state.nodes() : [];
  const resend = !isOn(control, 'no-resend');
  const taken = await takeOver({
    device: DEVICE,
    notifier,
    directory: privately,
    first: first.promise,
    most: 1,
    nodes,
    resend,
  });
  process.stderr.write(`taken over: ${JSON.stringify(taken)}\n`);
}

async function beat(): Promise<void> {
  if (takes(control, 'stick-main')) for (;;);
  try {
    await held.beatOnce(privately);
  } catch {
    void end();
    return;
  }
  beating = setTimeout(() => void beat(), Number(beatMs));
}

/** In order: nothing can be read any more, nothing is mapped, nothing is mounted. */
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  clearTimeout(beating);
  Atomics.store(flags, 1, 1);
  for (const place of [publicly, privately])
    await abort(place, deadline()).catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  await stopped.promise;
  for (const node of LISTED) await notifier.invalidateInode(node).catch(() => false);
  process.exit(EXIT.ended);
}

async function yieldToNext(): Promise<void> {
  if (takes(control, 'never-yield')) return;
  ending = true;
  clearTimeout(beating);
  Atomics.store(flags, 1, 1);
  const woken = barrier(privately);
  await stopped.promise;
  held.yielded();
  await woken;
  process.exit(EXIT.yielded);
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end());
void held.yield.then(yieldToNext);
await (held.phase === 'fresh' ? fresh() : later());
