// What `bench -- refresh` measures, as a process of its own: one client that follows one repository.
//   client.ts JSON (Task)      prints a line of JSON (Samples)
// Of each kind the first few times are warm-up and not told, where there are more than one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Updater as TufJs } from 'tuf-js';
import { systemClock } from '../../client/clock.ts';
import { httpTransport } from '../../client/transport.ts';
import { TrustStore } from '../../client/trust-store.ts';
import { Updater } from '../../client/updater.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { parseNews } from '../../manifest/realm/exchange.ts';

export interface Task {
  readonly client: 'lapse' | 'tuf-js';
  readonly url: string;
  /** Root 1, in base64. */
  readonly root: string;
  /** One target in each namespace. */
  readonly paths: readonly string[];
  readonly rounds: Readonly<Record<Kind, number>>;
}

export type Kind = 'cold' | 'unchanged' | 'oneChanged' | 'pushed';

export interface Sample {
  readonly ms: number;
  readonly bytes: number;
}

export type Samples = Readonly<Record<Kind, readonly Sample[]>>;

/** Refreshes, and has every secret of the realm verified; each time it is called it goes on from where it was. */
type Follow = () => Promise<unknown>;

interface Client {
  /** One that has nothing on disk yet. */
  start(directory: string): Promise<Follow>;
  /** Of the follower that was started last: takes what was pushed. */
  offer?(news: Uint8Array): Promise<unknown>;
}

const WARM_UP = 3;

function lapse({ url, root }: Task): Client {
  const clock = systemClock();
  const transport = httpTransport({ url }, clock);
  let updater: Updater | undefined;
  return {
    async start(directory) {
      const storeFor = (realm: ConstructorParameters<typeof TrustStore>[1]) =>
        new TrustStore(directory, realm);
      const anchor = Buffer.from(root, 'base64');
      const opened = await Updater.open({ anchor, storeFor, transport, clock });
      updater = opened;
      return () => opened.refresh();
    },
    offer: async (news) => updater?.offer(parseNews(news)),
  };
}

/** An updater of tuf-js refreshes once: each time there is another on the same directory. */
function tufJs({ url, root, paths }: Task): Client {
  return {
    start(directory) {
      writeFileSync(join(directory, 'root.json'), Buffer.from(root, 'base64'));
      return Promise.resolve(async () => {
        const updater = new TufJs({
          metadataDir: directory,
          metadataBaseUrl: `${url}/v1/metadata`,
          config: { targetsMaxLength: LIMITS.targetsBytes, fetchRetry: 0 },
        });
        await updater.refresh();
        for (const path of paths) {
          if (!(await updater.getTargetInfo(path))) throw new Error(`tuf-js does not find ${path}`);
        }
      });
    },
  };
}

async function ask(url: string, path: string, method = 'GET'): Promise<Uint8Array> {
  return (await fetch(`${url}${path}`, { method })).bytes();
}

async function run(task: Task): Promise<Samples> {
  const client = task.client === 'lapse' ? lapse(task) : tufJs(task);
  const directory = mkdtempSync(join(tmpdir(), 'lapse-bench-'));
  const fresh = (): string => mkdtempSync(join(directory, 'client-'));
  const measure = async (work: () => Promise<unknown>): Promise<Sample> => {
    await ask(task.url, '/bytes');
    const start = performance.now();
    await work();
    const ms = performance.now() - start;
    return { ms, bytes: Number(Buffer.from(await ask(task.url, '/bytes')).toString()) };
  };
  const repeat = async (kind: Kind, sample: () => Promise<Sample>): Promise<readonly Sample[]> => {
    const rounds = task.rounds[kind];
    const samples: Sample[] = [];
    const total = rounds > 1 ? rounds + WARM_UP : rounds;
    while (samples.length < total) samples.push(await sample());
    return samples.slice(total - rounds);
  };
  try {
    let follow: Follow = () => Promise.resolve();
    return {
      cold: await repeat('cold', async () => {
        const place = fresh();
        return measure(async () => (follow = await client.start(place))());
      }),
      unchanged: await repeat('unchanged', () => measure(() => follow())),
      oneChanged: await repeat('oneChanged', async () => {
        await ask(task.url, '/rotate', 'POST');
        return measure(() => follow());
      }),
      pushed: await repeat('pushed', async () => {
        const news = await ask(task.url, '/rotate', 'POST');
        return measure(() => client.offer?.(news) ?? Promise.resolve());
      }),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const [task = ''] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await run(JSON.parse(task) as Task))}\n`);
