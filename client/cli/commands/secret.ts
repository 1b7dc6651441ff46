// `lapse secret`: put, import, list and show. `put` is here, the others in files of their own.
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { Context, Register } from '../command.ts';
import { publishConfirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { addVersions, droppedLines, versionName } from '../new-version.ts';
import type { NewVersion } from '../new-version.ts';
import {
  WAITING_HELP,
  collect,
  parseGrant,
  parseOverlap,
  parseOwnSecret,
  parseSecret,
  parseStale,
  parseWait,
  withWaiting,
} from '../options.ts';
import type { WaitWords } from '../options.ts';
import { Session, policyOf } from '../session.ts';
import { readValue } from '../value.ts';
import { registerImport } from './secret-import.ts';
import { registerList } from './secret-list.ts';
import { registerShow } from './secret-show.ts';

interface PutOptions extends WaitWords {
  readonly file?: string;
  readonly grant?: readonly string[];
  readonly overlap?: string;
  readonly whenStale?: string;
}

const ROOT_ONLY = { uid: '0', gid: '0', mode: '0400' };

export const registerSecret: Register = (program, run) => {
  const secret = program.command('secret').summary('put, import, list and show secrets');
  withWaiting(
    secret
      .command('put')
      .argument('<namespace/name>')
      .summary('store a new version')
      .description(
        'Encrypts a value for the hosts and publishes it as the next version. The value is read from stdin.',
      )
      .option('--file <path>', 'read the value from a file instead')
      .option('--grant <workload>', 'let a workload read it, as a file of its name (repeatable)', collect)
      .option('--overlap <time>', 'how long this version lives on after the next one (default: 5m)')
      .option(
        '--when-stale <deny|serve>',
        'whether hosts go on serving it when their lease is over (default: deny)',
      ),
  )
    .addHelpText(
      'after',
      `
The value is taken byte by byte: a newline at its end is part of it. With --when-stale serve there is no bound
on a revocation: a host that is cut off serves the secret on. The namespace's policy must allow it.
${WAITING_HELP}

  printf %s "hunter2" | lapse secret put payments/db-password --grant web
  lapse secret put payments/tls-key --file server.key --grant web --no-wait`,
    )
    .action((name: string, options: PutOptions) => run((context) => put(context, name, options)));
  registerImport(secret, run);
  registerList(secret, run);
  registerShow(secret, run);
};

async function put(context: Context, text: string, options: PutOptions): Promise<void> {
  const reference = parseOwnSecret(text);
  const { namespace, name } = reference;
  const terms = {
    grants: (options.grant ?? []).map((workload) => parseGrant(workload, name, ROOT_ONLY)),
    overlapSeconds: parseOverlap(options.overlap),
    whenStale: parseStale(options.whenStale),
  };
  const wait = parseWait(options);
  const session = await Session.open(context);
  await session.recipients(policyOf(session.state, namespace));
  const value = await readValue(options, context.input);
  let made: readonly NewVersion[] = [];
  const change: Change = {
    namespace,
    role: namespace,
    names: [name],
    options: wait,
    said: () => putLines(text, made),
  };
  try {
    const outcome = await publishConfirmed(context, session, change, async (state, watch) => {
      const added = await addVersions(session, state, watch, namespace, [{ name, value, terms }]);
      made = added.made;
      return added.edit;
    });
    report(context, outcome, change, { secret: `${namespace}/${name}`, version: made[0]?.version ?? 0 });
  } finally {
    value.fill(0);
  }
}

function putLines(text: string, made: readonly NewVersion[]): readonly string[] {
  return made.flatMap(({ version, grants, whenStale }) => [
    `${versionName(parseSecret(text), version)} is published.`,
    grants.length > 0 ? readers(grants) : `Nobody may read it yet: lapse grant ${text} WORKLOAD`,
    ...droppedLines(made),
    ...(whenStale === 'serve' ? ['Served on when a lease is over: no bound on its revocation.'] : []),
  ]);
}

export function readers(grants: readonly Grant[]): string {
  return `Read by: ${grants.map((grant) => `${grant.workload} (${grant.file})`).join(', ')}`;
}
