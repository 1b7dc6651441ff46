// `lapse root show`: the root in force: who signs it, until when it is good, and which keys the service signs with.
import { formatInstant } from '../../../manifest/shape.ts';
import { TOP_LEVEL_ROLES } from '../../../manifest/tuf/root.ts';
import type { Context, Register } from '../command.ts';
import { columns } from '../output.ts';
import { namesOf } from '../root-signing.ts';
import { Session } from '../session.ts';

export const registerRootShow: Register = (root, run) => {
  root
    .command('show')
    .summary('show the root in force')
    .description('Shows who signs root and targets, how many of them it takes, and the online keys.')
    .addHelpText('after', '\n  lapse root show')
    .action(() => run(show));
};

async function show(context: Context): Promise<void> {
  const session = await Session.open(context, { expired: true });
  const { version, expires, roles } = session.state.set.root.role;
  const names = await namesOf(context.identities);
  const keyids = new Set(TOP_LEVEL_ROLES.flatMap((role) => [...roles[role].keys.keys()]));
  const keys = [...keyids].map((keyid) => ({
    keyid,
    roles: TOP_LEVEL_ROLES.filter((role) => roles[role].keys.has(keyid)),
    name: names.get(keyid) ?? null,
  }));
  const thresholds = TOP_LEVEL_ROLES.map((role) => {
    const { threshold, keys: of } = roles[role];
    return `${role} ${threshold} of ${of.size}`;
  });
  context.output.result(
    [
      `Root ${version}, expires ${formatInstant(expires)}`,
      `Signatures needed: ${thresholds.join(', ')}`,
      ...columns([
        ['KEY', 'SIGNS', 'NAME'],
        ...keys.map(({ keyid, roles: signs, name }) => [keyid.slice(0, 16), signs.join(', '), name ?? '-']),
      ]),
    ],
    {
      version,
      expires: formatInstant(expires),
      thresholds: Object.fromEntries(TOP_LEVEL_ROLES.map((role) => [role, roles[role].threshold])),
      keys,
    },
  );
}
