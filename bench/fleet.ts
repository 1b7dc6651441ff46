// A fleet on one machine: each host its own lapsed, its own mount, its own identity. From clock zero to the last signed
// receipt, as the operator's command verifies it, for one host and for many; and how long what is mapped stays readable
// when a server is killed or stopped. `npm run bench -- fleet [--hosts N] [--trials N]`. Unpinned: everybody takes part.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../client/clock.ts';
import type { Container } from '../demo/container.ts';
import { undividedCpus } from '../demo/cpus.ts';
import { makePlaces } from '../demo/programs.ts';
import type { Places } from '../demo/programs.ts';
import { fnv1a } from '../demo/records.ts';
import type { ReadRecord } from '../demo/records.ts';
import { Stage } from '../demo/stage.ts';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';

const SECRET = 'bench/token';
const WARM_UP = 3;
/** Trials of each way of being dead. */
const DEATHS = 10;
/** Between two deaths, in milliseconds: after more than five within 10 s a holder gives up. */
const DEATH_PAUSE_MS = 2500;
/** The heartbeat limit, `dead_after`, is 1 s by default. */
const PATIENCE_MS = 10_000;

const clock = systemClock();

export async function fleet(parameters: readonly string[]): Promise<Findings> {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      hosts: { type: 'string', default: '20' },
      trials: { type: 'string', default: '50' },
    },
  });
  const [hosts, trials] = [Number(values.hosts), Number(values.trials)];
  const places = await makePlaces(await mkdtemp(join(tmpdir(), 'lapse-fleet-')), undividedCpus());
  const first = new Stage(places, clock);
  const others: Stage[] = [];
  try {
    const { at } = await first.startService();
    await first.makeRealm(at, '60s');
    await first.lapse(['namespace', 'add', 'bench']);
    await joinAndServe(first, 1);
    const one = await revocations(first, trials, 1);
    const deaths = await deadMansSwitch(first);
    while (others.length < hosts - 1) {
      const name = `host-${others.length + 2}`;
      const stage = new Stage(await hostPlaces(places, name), clock);
      others.push(stage);
      await joinAndServe(stage, others.length + 1);
      progress(`${others.length + 1} hosts`);
    }
    const many = await revocations(first, trials, hosts);
    return report(trials, hosts, one, many, deaths);
  } finally {
    // The service and what belongs to all of them last.
    for (const stage of others) await stage.clear();
    await first.clear();
  }
}

async function joinAndServe(stage: Stage, number: number): Promise<void> {
  await stage.join(`host-${number}`);
  await stage.startDaemon();
}

/** Another host of the same realm: operator and service are shared. */
async function hostPlaces(shared: Places, name: string): Promise<Places> {
  const own = await makePlaces(join(shared.work, name), shared.cpus);
  return { ...own, operator: shared.operator, store: shared.store };
}

interface Revocation {
  readonly firstReceipt: number;
  readonly lastReceipt: number;
}

/** From clock zero to the receipts. Whoever was not heard of fails the command, and with it the bench. */
async function revocations(stage: Stage, trials: number, hosts: number): Promise<readonly Revocation[]> {
  const found: Revocation[] = [];
  for (let trial = -WARM_UP; trial < trials; trial++) {
    await stage.lapse(['secret', 'put', SECRET, '--grant', 'web'], randomBytes(32));
    const { ms } = await stage.lapse(['revoke', SECRET, '--yes']);
    const { firstReceipt = NaN, lastReceipt = NaN } = ms;
    if (trial >= 0) found.push({ firstReceipt, lastReceipt });
    progress(`${hosts} ${hosts === 1 ? 'host' : 'hosts'}: ${trial + 1} of ${trials} revocations`);
  }
  return found;
}

type Death = 'SIGKILL' | 'SIGSTOP';

/** From the signal to the first touch of a mapping that fails; a container holds it, and a descriptor. */
async function deadMansSwitch(stage: Stage): Promise<Readonly<Record<Death, readonly number[]>>> {
  const found = { SIGKILL: [] as number[], SIGSTOP: [] as number[] };
  for (let trial = 0; trial < DEATHS; trial++) {
    for (const death of ['SIGKILL', 'SIGSTOP'] as const) {
      // A reader maps once, so each trial has its own.
      const workload = `web-${trial}-${death}`;
      const value = Buffer.from(randomBytes(24).toString('base64url'));
      await stage.lapse(['secret', 'put', SECRET, '--grant', workload], Buffer.from(value));
      const command = ['/bin/reader', '/run/lapse/fs/self/token', '200'];
      const reader = await stage.startContainer(workload, command);
      found[death].push(await die(stage, reader, value, death));
      await reader.stop();
      await clock.sleep(DEATH_PAUSE_MS);
      progress(`${death}: ${trial + 1} of ${DEATHS}`);
    }
  }
  return found;
}

async function die(stage: Stage, reader: Container, value: Buffer, death: Death): Promise<number> {
  const isMapped = ({ way, hash }: ReadRecord): boolean => way === 'mapped' && hash === fnv1a(value);
  await reader.seen('the value, mapped', isMapped, PATIENCE_MS);
  const pid = Number(await readFile(join(dirname(stage.places.control), 'pid'), 'utf8'));
  const at = clock.monotonic();
  process.kill(pid, death);
  const isDead = ({ way, start, result }: ReadRecord): boolean =>
    way === 'mapped' && start > at && result !== 0;
  const { end } = await reader.seen('the end of the mapping', isDead, PATIENCE_MS);
  return Number(end - at) / 1e6;
}

function report(
  trials: number,
  hosts: number,
  one: readonly Revocation[],
  many: readonly Revocation[],
  deaths: Readonly<Record<Death, readonly number[]>>,
): Findings {
  const spread = (values: readonly number[]) => {
    const [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1].map((share) => round(percentile(values, share)));
    return { p50, p90, p99, most };
  };
  const last = (found: readonly Revocation[]) => spread(found.map(({ lastReceipt }) => lastReceipt));
  const json = {
    trials,
    revoke: { '1': last(one), [String(hosts)]: last(many) },
    firstReceipt: { [String(hosts)]: spread(many.map(({ firstReceipt }) => firstReceipt)) },
    deadMansSwitch: {
      limitMs: 1000,
      killedMs: spread(deaths.SIGKILL),
      stoppedMs: spread(deaths.SIGSTOP),
    },
  };
  const row = (name: string, { p50, p90, p99, most }: ReturnType<typeof spread>): string =>
    `${name.padEnd(44)}p50 ${p50} ms, p90 ${p90}, p99 ${p99}, most ${most}`;
  return {
    lines: [
      `${trials} revocations each, from clock zero to the signed receipts, verified by the operator's command:`,
      row('1 host, its receipt', json.revoke['1']),
      row(`${hosts} hosts, the first receipt`, spread(many.map(({ firstReceipt }) => firstReceipt))),
      row(`${hosts} hosts, the last receipt`, last(many)),
      `${DEATHS} servers dead under a held mapping, heartbeat limit 1 s, until it is unreadable:`,
      row('killed', json.deadMansSwitch.killedMs),
      row('stopped', json.deadMansSwitch.stoppedMs),
    ],
    json,
  };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
