// `lapse secret import`: many secrets at once, from what there is: a file of NAME=value lines, a directory of files, or a
// Compose file. It shows names and sizes, never a value, asks, and publishes all of it or nothing.
import type { Command } from 'commander';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { EXCHANGE_LIMITS } from '../../../manifest/realm/exchange.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Run } from '../command.ts';
import { confirm } from '../confirm.ts';
import { publishConfirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { readComposeFile } from '../import/compose.ts';
import { readSecretsDirectory } from '../import/directory.ts';
import { readEnvFile } from '../import/env-file.ts';
import { malformed, readBounded } from '../import/source.ts';
import type { Findings, Found } from '../import/source.ts';
import { addVersions, versionName } from '../new-version.ts';
import type { NewVersion } from '../new-version.ts';
import {
  WAITING_HELP,
  asUsage,
  collect,
  parseGrant,
  parseWait,
  refuseReserved,
  withWaiting,
} from '../options.ts';
import type { WaitWords } from '../options.ts';
import { columns, counted } from '../output.ts';
import { Session, policyOf, secretsOf } from '../session.ts';

interface ImportOptions extends WaitWords {
  readonly env?: string;
  readonly dir?: string;
  readonly compose?: string;
  readonly grant?: readonly string[];
  readonly yes?: boolean;
}

/** Of all values together, so that they and their envelopes fit into one publish. */
const MOST_BYTES = EXCHANGE_LIMITS.body / 2;
const ROOT_ONLY = { uid: '0', gid: '0', mode: '0400' };

export function registerImport(secret: Command, run: Run): void {
  withWaiting(
    secret
      .command('import')
      .argument('<namespace>')
      .summary('store many secrets at once')
      .description(
        'Reads secrets from a file or a directory, shows their names, asks, and publishes all at once.',
      )
      .option('--env <file>', 'NAME=value lines')
      .option('--dir <directory>', 'one file for each secret')
      .option('--compose <file>', 'the secrets of a Compose file, and the services that read them')
      .option('--grant <workload>', 'let a workload read them all (repeatable)', collect)
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
Names: DB_PASSWORD of a file of NAME=value lines becomes db-password; a file and a Compose secret keep theirs. A
secret that exists gets its next version. Quotes are understood, variables are not expanded. What is empty, hidden
or external is left aside, and named. From Compose a service's secrets become grants to a workload of its name,
with target, uid, gid and mode as there (0444 without).
${WAITING_HELP}

  lapse secret import payments --env .env --grant web
  lapse secret import payments --dir ./secrets
  lapse secret import payments --compose compose.yaml`,
    )
    .action((namespace: string, options: ImportOptions) =>
      run((context) => importSecrets(context, namespace, options)),
    );
}

async function importSecrets(context: Context, text: string, options: ImportOptions): Promise<void> {
  const namespace = asUsage(() => parseNamespace(text));
  refuseReserved(namespace);
  const wait = parseWait(options);
  const session = await Session.open(context);
  secretsOf(session.state, namespace);
  const { found, skipped } = await read(options);
  try {
    check(found);
    context.output.progress(
      ...preview(session.state, namespace, found),
      ...skipped.map((why) => `Left aside: ${why}`),
    );
    await confirm(`Store ${counted(found.length, 'secret')} in ${namespace}?`, options.yes ?? false);
    await session.recipients(policyOf(session.state, namespace));
    await publish(context, session, namespace, found, skipped, wait);
  } finally {
    for (const { value } of found) value.fill(0);
  }
}

async function publish(
  context: Context,
  session: Session,
  namespace: Namespace,
  found: readonly Found[],
  skipped: readonly string[],
  options: Change['options'],
): Promise<void> {
  let made: readonly NewVersion[] = [];
  const values = found.map(({ name, value, grants }) => ({
    name,
    value,
    terms: { grants, overlapSeconds: undefined, whenStale: undefined },
  }));
  const change: Change = {
    namespace,
    role: namespace,
    names: found.map(({ name }) => name),
    options,
    said: (ms) => [`${counted(made.length, 'secret is', 'secrets are')} published, after ${ms} ms.`],
  };
  const outcome = await publishConfirmed(context, session, change, async (state, watch) => {
    const added = await addVersions(session, state, watch, namespace, values);
    made = added.made;
    return added.edit;
  });
  report(context, outcome, change, {
    secrets: made.map(({ name, version }) => versionName({ namespace, name }, version)),
    skipped,
  });
}

async function read({ env, dir, compose, grant = [] }: ImportOptions): Promise<Findings> {
  const given = [env, dir, compose].filter((path) => path !== undefined);
  if (given.length !== 1) throw new ClientError('usage', 'give one of --env, --dir and --compose');
  const { found, skipped } =
    env !== undefined
      ? await readEnv(env)
      : dir !== undefined
        ? await readSecretsDirectory(dir)
        : await readComposeFile(compose ?? '');
  return {
    found: found.map((each) => {
      const more = grant.map((workload) => parseGrant(workload, each.name, ROOT_ONLY));
      const isNamed = (workload: string): boolean => more.some((other) => other.workload === workload);
      return { ...each, grants: [...each.grants.filter(({ workload }) => !isNamed(workload)), ...more] };
    }),
    skipped,
  };
}

async function readEnv(path: string): Promise<Findings> {
  const bytes = await readBounded(path, MOST_BYTES);
  try {
    return readEnvFile(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** @throws ClientError import-malformed */
function check(found: readonly Found[]): void {
  if (found.length === 0) throw malformed('there is no secret');
  const tooLarge = found.find(({ value }) => value.length > LIMITS.valueBytes);
  if (tooLarge) throw malformed(`${tooLarge.name} has more than ${LIMITS.valueBytes} bytes`);
  const bytes = found.reduce((sum, { value }) => sum + value.length, 0);
  if (bytes > MOST_BYTES) throw malformed(`more than ${MOST_BYTES} bytes at once; import them in parts`);
}

function preview(state: RealmState, namespace: Namespace, found: readonly Found[]): readonly string[] {
  const secrets = secretsOf(state, namespace);
  const rows = found.map(({ name, value, grants }) => [
    `${namespace}/${name}`,
    String((secrets.get(name)?.newestVersion ?? 0) + 1),
    String(value.length),
    grants.map(({ workload }) => workload).join(', ') || '-',
  ]);
  return columns([['SECRET', 'VERSION', 'BYTES', 'GRANTED TO'], ...rows]);
}
