// What reading costs: on tmpfs, on libfuse 3 in C (the reference), on our engine with and without names that last, and on
// fuse-native, the same tree behind all of them. One run, interleaved rounds, medians; readers and servers on one CPU (or
// the figures swing with where threads wake), but for the last section, which asks whether a second thread helps.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALL_CPUS, ONE_CPU } from './cpu.ts';
import type { Findings } from './findings.ts';
import { COUNTED, report } from './read-report.ts';
import type { Cached, Name, Requests, Threaded } from './read-report.ts';
import { DIRECTORY, ENTRIES, FILES, MANY } from './static-tree.ts';
import { Subject } from './subject.ts';
import type { Counts, SubjectOptions } from './subject.ts';
import { interleave, listDirectory, readFile } from './timer.ts';
import type { Rounds } from './timer.ts';

const FILE = 'hello';
const BYTES = 4096;
const READERS = [1, 2, 4, 8] as const;
const SIZES = ['1KiB', '4KiB', '64KiB', '1MiB'] as const;

type Served = Exclude<Name, 'tmpfs'>;
const SERVERS: Readonly<Record<Served, Omit<SubjectOptions, 'cpus'>>> = {
  libfuse3: { engine: 'libfuse3' },
  lapse: { engine: 'lapse' },
  lapseCached: { engine: 'lapse', lasting: true },
  fuseNative: { engine: 'fuseNative' },
};
const TWO_THREADS: Omit<SubjectOptions, 'cpus'> = { engine: 'lapse', threads: 2 };

interface Place {
  path(name: string): string;
}

export async function read(): Promise<Findings> {
  const requests = await each(['libfuse3', 'lapse', 'lapseCached'], countRequests);
  return report({ requests, ...(await onOneCpu()), allCpus: await onAllCpus() });
}

/** What reaches the server when a file is read, or a directory listed, COUNTED times. */
async function countRequests(name: Cached): Promise<Requests> {
  const counted = async (use: (server: Subject) => Promise<unknown>): Promise<Counts> => {
    await using server = await Subject.start({ ...SERVERS[name], cpus: ONE_CPU, count: true });
    await use(server);
    return await server.counts();
  };
  // What the timer does to warm up comes on top: a tenth, and one.
  const common = { cpus: ONE_CPU, times: COUNTED * 0.9 };
  return {
    file: await counted((server) => readFile({ path: server.path(FILE), bytes: BYTES, ...common })),
    directory: await counted((server) => listDirectory({ path: server.path(DIRECTORY), ...common })),
  };
}

async function onOneCpu() {
  await using stack = new AsyncDisposableStack();
  const start = async (name: Served) => stack.use(await Subject.start({ ...SERVERS[name], cpus: ONE_CPU }));
  const places: Readonly<Record<Name, Place>> = {
    tmpfs: stack.use(new Memory()),
    libfuse3: await start('libfuse3'),
    lapse: await start('lapse'),
    lapseCached: await start('lapseCached'),
    fuseNative: await start('fuseNative'),
  };
  const names = Object.keys(places) as Name[];
  for (const name of names) verify(places[name]);
  const reading = (name: Name, file: string) => ({ path: places[name].path(file), cpus: ONE_CPU });

  // Until everything is compiled, and everybody as warm as a daemon.
  for (const name of names) await readFile({ ...reading(name, FILE), bytes: BYTES, times: 5000 });
  const small = await interleave(names, 150, (name) =>
    readFile({ ...reading(name, FILE), bytes: BYTES, times: 300 }),
  );
  const sizes = await each(SIZES, (size) => {
    const bytes = FILES.get(size)?.length ?? 0;
    const times = Math.min(200, (16 << 20) / bytes);
    return interleave(names, 15, (name) => readFile({ ...reading(name, size), bytes, times }));
  });
  const listing = await interleave(names, 25, (name) =>
    listDirectory({ ...reading(name, DIRECTORY), times: 20 }),
  );
  const parallel = await readInParallel(['libfuse3', 'lapse', 'lapseCached'], places, ONE_CPU);
  return { small, sizes, listing, oneCpu: parallel };
}

async function onAllCpus() {
  await using stack = new AsyncDisposableStack();
  const start = async (server: Omit<SubjectOptions, 'cpus'>) =>
    stack.use(await Subject.start({ ...server, cpus: ALL_CPUS }));
  const places: Readonly<Record<Threaded, Place>> = {
    libfuse3: await start(SERVERS.libfuse3),
    lapse: await start(SERVERS.lapse),
    lapseTwoThreads: await start(TWO_THREADS),
  };
  return await readInParallel(Object.keys(places) as Threaded[], places, ALL_CPUS);
}

function readInParallel<Among extends string>(
  names: readonly Among[],
  places: Readonly<Record<Among, Place>>,
  cpus: string,
): Promise<Readonly<Record<number, Rounds<Among>>>> {
  return each(READERS, (readers) =>
    interleave(names, 15, (name) =>
      readFile({ path: places[name].path(FILE), cpus, bytes: BYTES, times: 960 / readers, readers }),
    ),
  );
}

/** One after the other. */
async function each<Key extends string | number, Value>(
  keys: readonly Key[],
  measure: (key: Key) => Promise<Value>,
): Promise<Readonly<Record<Key, Value>>> {
  const measured = {} as Record<Key, Value>;
  for (const key of keys) measured[key] = await measure(key);
  return measured;
}

/** The same tree on tmpfs. */
class Memory implements Place, Disposable {
  readonly #directory = mkdtempSync('/dev/shm/lapse-bench-');

  constructor() {
    for (const [name, content] of FILES) writeFileSync(this.path(name), content);
    mkdirSync(this.path(DIRECTORY));
    for (const { name } of MANY) writeFileSync(join(this.path(DIRECTORY), name), '');
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

/** Whoever serves less is no rival. */
function verify(place: Place): void {
  for (const [name, content] of FILES) {
    if (!readFileSync(place.path(name)).equals(content)) throw new Error(`${name} reads differently`);
  }
  if (readdirSync(place.path(DIRECTORY)).length !== ENTRIES) throw new Error('a directory lists differently');
}
