// `lapse secret list`: every secret, its newest version and its readers.
import type { Command } from 'commander';
import { parseNamespace } from '../../../manifest/names.ts';
import { readers } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import type { Context, Run } from '../command.ts';
import { asUsage } from '../options.ts';
import { columns } from '../output.ts';
import { secretJson } from '../secret-json.ts';
import { Session, failureLines, failuresJson, secretsOf } from '../session.ts';

export function registerList(secret: Command, run: Run): void {
  secret
    .command('list')
    .argument('[namespace]')
    .summary('list secrets')
    .addHelpText('after', '\n  lapse secret list payments')
    .action((namespace: string | undefined) => run((context) => list(context, namespace)));
}

async function list(context: Context, only: string | undefined): Promise<void> {
  const { state } = await Session.open(context);
  const namespaces = only === undefined ? [...state.secrets.keys()] : [asUsage(() => parseNamespace(only))];
  const secrets = namespaces.flatMap((namespace) =>
    [...secretsOf(state, namespace).values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
  const rows = secrets.map((secret) => [
    `${secret.namespace}/${secret.name}`,
    String(secret.newestVersion),
    stateOf(secret),
    readers(secret, secret.newestVersion)
      .map(({ workload }) => workload)
      .join(', ') || '-',
  ]);
  const lines =
    rows.length > 0 ? columns([['SECRET', 'VERSION', 'STATE', 'READERS'], ...rows]) : ['No secrets yet.'];
  context.output.result([...lines, ...failureLines(state)], {
    secrets: secrets.map(secretJson),
    failures: failuresJson(state),
  });
}

export function stateOf({ newest }: Secret): 'live' | 'revoked' {
  return newest ? 'live' : 'revoked';
}
