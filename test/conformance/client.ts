// The commands of the tuf-conformance protocol, on the update cycle that `lapsed` runs:
//
//   --metadata-dir D init ROOT
//   --metadata-dir D --metadata-url U refresh
//   --metadata-dir D --metadata-url U --target-name P… --target-base-url B --target-dir T download
//
// Exit code 0 when all of it succeeded, else 1 and one line that says why.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Clock } from '../../client/clock.ts';
import { ClientError } from '../../client/errors.ts';
import { UpdateCycle, recallSet } from '../../client/update-cycle.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { checkFile } from '../../manifest/tuf/metadata.ts';
import type { TargetFile } from '../../manifest/tuf/targets.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';
import { Directory } from './directory.ts';
import { httpFetch } from './http-fetch.ts';
import { encodePath } from './names.ts';

type Options = ReturnType<typeof parse>['values'];

export async function run(
  argv: readonly string[],
  clock: Clock,
  say: (line: string) => void,
): Promise<0 | 1> {
  try {
    const { values, positionals } = parse(argv);
    await command(values, positionals, clock);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    say(isLapseError(error) ? `${error.code}: ${error.message}` : String(error));
    return 1;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      'metadata-dir': { type: 'string' },
      'metadata-url': { type: 'string' },
      'target-name': { type: 'string', multiple: true },
      'target-base-url': { type: 'string' },
      'target-dir': { type: 'string' },
    },
  });
}

async function command(options: Options, words: readonly string[], clock: Clock): Promise<void> {
  const [name, file, ...more] = words;
  const hasFile = file !== undefined;
  if (more.length === 0 && name === 'init' && hasFile) await init(options, file);
  else if (!hasFile && name === 'refresh') await refresh(options, clock);
  else if (!hasFile && name === 'download') await download(options, clock);
  else throw new ClientError('usage', 'one of: init ROOT, refresh, download');
}

async function init(options: Options, file: string): Promise<void> {
  const root = await readFile(file);
  trustRoot(root);
  await metadata(options).keep('root', root);
}

async function refresh(options: Options, clock: Clock): Promise<UpdateCycle> {
  const keeper = metadata(options);
  const fetch = httpFetch(needed(options['metadata-url'], '--metadata-url'), clock);
  const cycle = new UpdateCycle(await recallSet(keeper), { fetch, now: clock.now(), keeper });
  await cycle.roots();
  await cycle.timestamp();
  await cycle.snapshot();
  await cycle.role('targets', 'root');
  return cycle;
}

async function download(options: Options, clock: Clock): Promise<void> {
  const paths = options['target-name'] ?? [];
  if (paths.length === 0) throw new ClientError('usage', '--target-name is needed');
  const fetch = httpFetch(needed(options['target-base-url'], '--target-base-url'), clock, encodePath);
  const directory = new Directory(needed(options['target-dir'], '--target-dir'), '');
  const cycle = await refresh(options, clock);
  for (const path of paths) {
    const file = await cycle.find(path);
    if (!file) throw new ClientError('not-found', `no role lists ${path}`);
    if (isHere(await directory.recall(path), file)) continue;
    await directory.keep(path, await cycle.target(path, file, fetch));
  }
}

function isHere(bytes: Uint8Array | undefined, file: TargetFile): boolean {
  try {
    if (bytes) checkFile(bytes, file, 'the file');
    return bytes !== undefined;
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return false;
  }
}

function metadata(options: Options): Directory {
  return new Directory(needed(options['metadata-dir'], '--metadata-dir'), '.json');
}

function needed(value: string | undefined, option: string): string {
  if (value !== undefined) return value;
  throw new ClientError('usage', `${option} is needed`);
}
