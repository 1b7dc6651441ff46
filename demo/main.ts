// `npm run demo`: a secret's whole life on one machine, with the real programs: put, read in a real container,
// rotated under its readers, revoked, all measured from inside the container. Ends with 0 only if every promise was
// kept and every control held. `--break NAME` sabotages the daemon and must end with 1.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../client/clock.ts';
import { plantedHits, scan, together } from './disk-scan.ts';
import type { Scan } from './disk-scan.ts';
import { LEASE_MARGIN_MS, measure } from './measure.ts';
import { makePlaces } from './programs.ts';
import { fnv1a } from './records.ts';
import { BREAKS, isBreak } from './sabotage/breaks.ts';
import type { Break } from './sabotage/breaks.ts';
import { Stage } from './stage.ts';
import { Timeline } from './timeline.ts';
import { verdict } from './verdict.ts';

const SECRET = 'payments/db-password';
/** The reader with its pause in microseconds. */
const reader = (pause: number): readonly string[] => [
  '/bin/reader',
  '/run/lapse/fs/self/db-password',
  String(pause),
];
/** Long enough to go through everything under one lease, short enough to wait for its end. */
const LEASE_S = 3;
const OUT = fileURLToPath(new URL('../out/', import.meta.url));

const clock = systemClock();
const timeline = new Timeline(clock);

async function play(stage: Stage, broken: Break | undefined): Promise<readonly string[]> {
  const { places } = stage;
  const token = (): Buffer => Buffer.from(randomBytes(24).toString('base64url'));
  const [oldValue, newValue] = [token(), token()];
  timeline.title('Lapse: a secret that can be taken back');
  if (broken) timeline.stage('SABOTAGE', BREAKS[broken]);

  const { program: service, at } = await stage.startService();
  timeline.stage('service', `lapse-service on ${at.url}, known by its key; it sees ciphertext only`);
  await stage.makeRealm(at, `${LEASE_S}s`);
  await stage.lapse(['namespace', 'add', 'payments']);
  timeline.stage('realm', 'keys made, namespace payments delegated');
  await stage.join('host-1');
  timeline.stage('host', 'invited, joined with keys of its own, approved; it holds its pool’s key in memory');
  const sabotage = fileURLToPath(new URL('./sabotage/lapsed.ts', import.meta.url));
  await stage.startDaemon(broken ? [process.execPath, sabotage, broken] : undefined);
  timeline.stage('lapsed', `FUSE mounted; lapsed until the first news, now under a lease of ${LEASE_S} s`);

  const [granted, denied] = await Promise.all([
    stage.startContainer('web', reader(200)),
    stage.startContainer('intruder', reader(2000)),
  ]);
  await Promise.all([granted.seen('its view', () => true), denied.seen('its view', () => true)]);
  timeline.stage('runc', 'two containers read /run/lapse/fs/self/db-password; nothing is there yet');

  const put = await stage.lapse(['secret', 'put', SECRET, '--grant', 'web'], oldValue);
  await granted.seen('the first value', (r) => r.way === 'reopen' && r.hash === fnv1a(oldValue));
  timeline.stage('put', 'the granted container reads the value; the other one gets ENOENT');
  await clock.sleep(500);
  const rotate = await stage.lapse(['rotate', SECRET], newValue);
  await granted.seen('the new value', (r) => r.way === 'reopen' && r.hash === fnv1a(newValue));
  timeline.stage('rotate', 'new opens read the new value; the held descriptor keeps the old one');
  await clock.sleep(500);
  const revoke = await stage.lapse(['revoke', SECRET, '--yes']);
  const effectAt = await stage.withdrawn(`${SECRET}@2`);
  timeline.stage('revoke', 'names gone, descriptor EACCES, mapping SIGBUS; the host’s signed receipt came');
  await clock.sleep(700);
  const revoked = granted.records().length;
  const again = token();
  await stage.lapse(['secret', 'put', SECRET, '--grant', 'web'], again);
  await granted.seen('the third value', (r) => r.way === 'reopen' && r.hash === fnv1a(again));
  const cutAt = clock.monotonic();
  await service.kill();
  timeline.stage('cut off', `the service is killed: nobody renews the lease of ${LEASE_S} s`);
  await granted.seen('the end of the lease', (r) => r.start > cutAt && r.result !== 0, 2000 * LEASE_S);
  const over = cutAt + BigInt(LEASE_S * 1000 + LEASE_MARGIN_MS + 300) * 1_000_000n;
  await clock.sleep(Math.max(0, Number(over - clock.monotonic()) / 1e6));
  timeline.stage('lapsed', 'the lease is over; the name stays, reading it is EACCES');
  const values = [oldValue, newValue, again];
  const search = async (): Promise<Scan> =>
    together(await scan(places.work, values), await scan(join(places.work, 'run'), values));
  const living = await search();
  await stage.stopAll();
  timeline.stage('end', 'containers and programs have ended; searching the disk');

  const left = await search();
  const figures = measure({
    put,
    rotate,
    revoke,
    effectAt,
    newHash: fnv1a(newValue),
    granted: granted.records().slice(0, revoked),
    lease: { seconds: LEASE_S, cutAt, records: granted.records().slice(revoked) },
    denied: denied.records(),
    disk: together(living, left),
    plantedHits: await plantedHits(places.work, newValue),
  });
  timeline.figures(figures, rotate, revoke);
  await mkdir(OUT, { recursive: true });
  await writeFile(join(OUT, 'demo.json'), `${JSON.stringify(figures, null, 2)}\n`);
  return verdict(figures);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { break: { type: 'string' } } });
  const broken = values.break;
  if (broken !== undefined && !isBreak(broken)) {
    process.stderr.write(`demo: --break takes one of: ${Object.keys(BREAKS).join(', ')}\n`);
    return 2;
  }
  const stage = new Stage(await makePlaces(await mkdtemp(join(tmpdir(), 'lapse-demo-'))), clock);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void stage.clear().finally(() => process.exit(130));
    });
  }
  try {
    const problems = await play(stage, broken);
    for (const problem of problems) process.stdout.write(`\n  CAUGHT: ${problem}\n`);
    process.stdout.write(
      problems.length > 0 ? '\nThe demo failed.\n' : '\nAll promises kept. Figures: out/demo.json\n',
    );
    return problems.length > 0 ? 1 : 0;
  } catch (error) {
    const said = await stage.lastWords();
    if (said) process.stderr.write(`\nlapsed said:\n${said}`);
    throw error;
  } finally {
    await stage.clear();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
