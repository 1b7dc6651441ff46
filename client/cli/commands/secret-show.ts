// `lapse secret show`: versions, grants, what was taken back and why. Never a value.
import type { Command } from 'commander';
import { formatInstant } from '../../../manifest/shape.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import type { Context, Run } from '../command.ts';
import { parseSecret } from '../options.ts';
import { columns } from '../output.ts';
import { reasonsOf } from '../reason.ts';
import { secretJson } from '../secret-json.ts';
import { Session, secretOf, secretsOf } from '../session.ts';
import { stateOf } from './secret-list.ts';

export function registerShow(secret: Command, run: Run): void {
  secret
    .command('show')
    .argument('<namespace/name>')
    .summary('show versions and grants, never a value')
    .addHelpText('after', '\n  lapse secret show payments/db-password')
    .action((name: string) => run((context) => show(context, name)));
}

async function show(context: Context, text: string): Promise<void> {
  const { namespace, name } = parseSecret(text);
  const { state } = await Session.open(context);
  const secret = secretOf(secretsOf(state, namespace), namespace, name);
  const rows = [
    [String(secret.newestVersion), stateOf(secret), ''],
    ...secret.superseded.map((old) => [String(old.version), 'until', formatInstant(old.overlapEnd)]),
  ];
  const reasons = reasonsOf(state, secret);
  context.output.result(
    [
      `${namespace}/${name}: revoked through ${secret.revokedThrough}`,
      ...columns([['VERSION', 'STATE', ''], ...rows]),
      ...secret.grants.map((grant) => grantLine(secret, grant)),
      ...(secret.whenStale === 'serve' ? ['Served on when a lease is over (whenStale: serve)'] : []),
      ...reasons.map(({ at, what, text: why }) => `${formatInstant(at)} ${what}: ${why}`),
    ],
    {
      ...secretJson(secret),
      reasons: reasons.map(({ at, what, text: why }) => ({ at: formatInstant(at), what, text: why })),
    },
  );
}

function grantLine({ withheld, newestVersion }: Secret, { workload, file, uid, gid, mode }: Grant): string {
  const through = withheld.get(workload) ?? 0;
  if (through >= newestVersion) return `${workload}: taken back by a revoker, through version ${through}`;
  return `${workload} reads it as self/${file}, owner ${uid}:${gid}, mode 0${mode.toString(8)}`;
}
