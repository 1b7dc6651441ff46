// `lapse secret put | list | show`.
import { parseNamespace } from '../../../manifest/names.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { grantJson } from '../../../manifest/realm/grant.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import type { Context, Register } from '../command.ts';
import { publishVersion, versionName } from '../new-version.ts';
import { asUsage, collect, parseGrant, parseOverlap, parseSecret } from '../options.ts';
import { columns } from '../output.ts';
import { Session, failureLines, failuresJson, secretOf, secretsOf } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';
import { readValue } from '../value.ts';

interface PutOptions {
  readonly file?: string;
  readonly grant?: readonly string[];
  readonly overlap?: string;
}

const ROOT_ONLY = { uid: '0', gid: '0', mode: '0400' };

export const registerSecret: Register = (program, run) => {
  const secret = program.command('secret').summary('put, list and show secrets');
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
    .addHelpText(
      'after',
      `
The value is taken byte by byte: a newline at its end is part of it.

  printf %s "hunter2" | lapse secret put payments/db-password --grant web
  lapse secret put payments/tls-key --file server.key --grant web`,
    )
    .action((name: string, options: PutOptions) => run((context) => put(context, name, options)));
  secret
    .command('list')
    .argument('[namespace]')
    .summary('list secrets')
    .action((namespace: string | undefined) => run((context) => list(context, namespace)));
  secret
    .command('show')
    .argument('<namespace/name>')
    .summary('show versions and grants, never a value')
    .action((name: string) => run((context) => show(context, name)));
};

async function put({ clock, output, directory, input }: Context, name: string, options: PutOptions): Promise<void> {
  const reference = parseSecret(name);
  const grants = (options.grant ?? []).map((workload) => parseGrant(workload, reference.name, ROOT_ONLY));
  const overlapSeconds = parseOverlap(options.overlap);
  const session = await Session.open(directory, clock);
  const value = await readValue(options, input);
  const watch = new Stopwatch(clock);
  const made = await publishVersion(session, watch, reference, value, { grants, overlapSeconds });
  const id = versionName(reference, made.version);
  const next =
    made.grants.length > 0 ? readers(made.grants) : `Nobody may read it yet: lapse grant ${name} WORKLOAD`;
  output.result([`${id} is published.`, next], {
    secret: `${reference.namespace}/${reference.name}`,
    version: made.version,
    timestamp: made.timestamp,
    ...watch.report(),
  });
}

async function list({ clock, output, directory }: Context, only: string | undefined): Promise<void> {
  const session = await Session.open(directory, clock);
  const { state } = session;
  const namespaces = only === undefined ? [...state.secrets.keys()] : [asUsage(() => parseNamespace(only))];
  const secrets = namespaces.flatMap((namespace) => [...secretsOf(state, namespace).values()]);
  const rows = secrets.map((secret) => [
    `${secret.namespace}/${secret.name}`,
    String(secret.newestVersion),
    secret.newest ? 'live' : 'revoked',
    secret.grants.map((grant) => grant.workload).join(', ') || '-',
  ]);
  const lines =
    rows.length > 0 ? columns([['SECRET', 'VERSION', 'STATE', 'READERS'], ...rows]) : ['No secrets yet.'];
  output.result([...lines, ...failureLines(state)], {
    secrets: secrets.map(secretJson),
    failures: failuresJson(state),
  });
}

async function show({ clock, output, directory }: Context, name: string): Promise<void> {
  const { namespace, name: secretName } = parseSecret(name);
  const session = await Session.open(directory, clock);
  const { state } = session;
  const secret = secretOf(secretsOf(state, namespace), namespace, secretName);
  const rows = [
    [String(secret.newestVersion), secret.newest ? 'live' : 'revoked', ''],
    ...secret.superseded.map((old) => [String(old.version), 'until', formatInstant(old.overlapEnd)]),
  ];
  output.result(
    [
      `${namespace}/${secretName}: revoked through ${secret.revokedThrough}`,
      ...columns([['VERSION', 'STATE', ''], ...rows]),
      ...secret.grants.map((grant) => `${grant.workload} reads it as ${grantLine(grant)}`),
    ],
    secretJson(secret),
  );
}

function secretJson(secret: Secret): JsonObject {
  return {
    secret: `${secret.namespace}/${secret.name}`,
    version: secret.newestVersion,
    live: liveVersions(secret).map((live) => live.version),
    revokedThrough: secret.revokedThrough,
    revoked: secret.revoked,
    overlapSeconds: secret.overlapSeconds,
    grants: secret.grants.map(grantJson),
  };
}

function readers(grants: readonly Grant[]): string {
  return `Read by: ${grants.map((grant) => `${grant.workload} (${grant.file})`).join(', ')}`;
}

function grantLine({ file, uid, gid, mode }: Grant): string {
  return `self/${file}, owner ${uid}:${gid}, mode 0${mode.toString(8)}`;
}
