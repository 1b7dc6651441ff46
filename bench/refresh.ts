// What it costs to follow a realm: our client and tuf-js beside each other, on the same files of one plain HTTP server
// (refresh/server.ts) and not of lapse-service, whose store and TLS would be measured with both. Each client runs on one
// CPU, the server on the others where there are any; figures are medians after warm-up, times in milliseconds.
//   cold        nothing on disk, until every secret of the realm is verified
//   unchanged   again, and nothing has changed: 10,000 secrets in 100 namespaces
//   oneChanged  again, after one secret was rotated; SECRETSxNAMESPACES
//   push100     news of a rotation came, of a namespace of 100: until it is verified and read
// Ours saves after a refresh, and nothing waits for that: it is not in these figures. tuf-js writes as it goes, and verifies
// what it has on disk again each time; of 10,000 targets in one role it takes so long that it does so once. A role of that
// many holds only lean ones (refresh/repository.ts).
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '../client/clock.ts';
import { ONE_CPU, ahead } from './cpu.ts';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';
import type { Kind, Sample, Samples, Task } from './refresh/client.ts';
import { Repository } from './refresh/repository.ts';
import type { Shape } from './refresh/repository.ts';
import { serve } from './refresh/server.ts';
import { sessionAhead } from './session.ts';

const CLIENT = fileURLToPath(new URL('refresh/client.ts', import.meta.url));
/** Of one client, in milliseconds. */
const PATIENCE_MS = 120_000;

type Rounds = Task['rounds'];

interface Trial extends Shape {
  readonly name: string;
  readonly lapse: Rounds;
  readonly tufJs: Rounds;
}

const rounds = (cold: number, unchanged: number, oneChanged: number, pushed: number): Rounds => ({
  cold,
  unchanged,
  oneChanged,
  pushed,
});

const TRIALS: readonly Trial[] = [
  { name: '100', secrets: 100, namespaces: 1, lapse: rounds(100, 0, 15, 15), tufJs: rounds(10, 0, 10, 0) },
  { name: '1000', secrets: 1000, namespaces: 1, lapse: rounds(15, 0, 0, 0), tufJs: rounds(3, 0, 0, 0) },
  {
    name: '10000',
    secrets: 10_000,
    namespaces: 1,
    isLean: true,
    lapse: rounds(7, 0, 0, 0),
    tufJs: rounds(1, 0, 0, 0),
  },
  {
    name: '10000x100',
    secrets: 10_000,
    namespaces: 100,
    lapse: rounds(3, 30, 15, 0),
    tufJs: rounds(1, 3, 3, 0),
  },
];

type Row = Readonly<Record<'lapse' | 'tufJs', Samples>>;

export async function refresh(parameters: readonly string[]): Promise<Findings> {
  using _ahead = sessionAhead();
  const chosen = TRIALS.filter(({ name }) => parameters.length === 0 || parameters.includes(name));
  const rows = new Map<string, Row>();
  const now = systemClock().now();
  for (const trial of chosen) rows.set(trial.name, await measure(trial, now));
  return report(rows);
}

async function measure(trial: Trial, now: number): Promise<Row> {
  return { lapse: await run('lapse', trial, now), tufJs: await run('tuf-js', trial, now) };
}

/** A repository of its own for each, since rotations make it larger. */
async function run(client: Task['client'], trial: Trial, now: number): Promise<Samples> {
  const repository = await Repository.make(trial, now);
  await using server = await serve(repository);
  const task: Task = {
    client,
    url: server.url,
    root: Buffer.from(repository.realm.genesis.root).toString('base64'),
    paths: repository.paths,
    rounds: client === 'lapse' ? trial.lapse : trial.tufJs,
  };
  const [command, ...words] = ahead(ONE_CPU, [process.execPath, CLIENT, JSON.stringify(task)]);
  const { stdout } = await promisify(execFile)(command, words, { timeout: PATIENCE_MS });
  return JSON.parse(stdout) as Samples;
}

interface Figures {
  readonly cold: Readonly<Record<'100' | '1000' | '10000', number | undefined>>;
  readonly unchanged: number | undefined;
  readonly oneChanged: Readonly<Record<'100x1' | '10000x100', number | undefined>>;
}

/** A figure is absent where its trial was not asked for. */
function report(rows: ReadonlyMap<string, Row>): Findings {
  const of = (what: keyof Sample, who: keyof Row, trial: string, kind: Kind): number | undefined => {
    const samples = rows.get(trial)?.[who][kind] ?? [];
    const values = samples.map((sample) => sample[what]);
    return values.length === 0 ? undefined : Math.round(percentile(values, 0.5) * 100) / 100;
  };
  const figures = (what: keyof Sample, who: keyof Row): Figures => ({
    cold: {
      '100': of(what, who, '100', 'cold'),
      '1000': of(what, who, '1000', 'cold'),
      '10000': of(what, who, '10000', 'cold'),
    },
    unchanged: of(what, who, '10000x100', 'unchanged'),
    oneChanged: {
      '100x1': of(what, who, '100', 'oneChanged'),
      '10000x100': of(what, who, '10000x100', 'oneChanged'),
    },
  });
  const push100 = of('ms', 'lapse', '100', 'pushed');
  const [ms, bytes, tufJs] = [figures('ms', 'lapse'), figures('bytes', 'lapse'), figures('ms', 'tufJs')];
  const line = (name: string, read: (figures: Figures) => number | undefined): string => {
    const [ours, theirs, fetched] = [read(ms), read(tufJs), read(bytes)];
    return `${name.padEnd(28)}${said(ours)} ms, tuf-js ${said(theirs)} ms; ${said(fetched)} bytes`;
  };
  return {
    lines: [
      line('cold, 100 secrets', ({ cold }) => cold['100']),
      line('cold, 1,000 secrets', ({ cold }) => cold['1000']),
      line('cold, 10,000 secrets', ({ cold }) => cold['10000']),
      line('nothing changed', ({ unchanged }) => unchanged),
      line('one changed, of 100', ({ oneChanged }) => oneChanged['100x1']),
      line('one changed, of 100 x 100', ({ oneChanged }) => oneChanged['10000x100']),
      `${'one of 100 pushed'.padEnd(28)}${said(push100)} ms`,
    ],
    json: { ms: { ...ms, push100 }, bytes, tufJs },
  };
}

function said(figure: number | undefined): string {
  return figure === undefined ? '–' : String(figure);
}
