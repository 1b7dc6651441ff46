// `lapse host list`: the members, when each was last heard of, and who has asked to join.
import type { Command } from 'commander';
import { activeHosts } from '../../../manifest/realm/hosts.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import { thumbprint } from '../../../manifest/realm/recipient.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import type { Context, Run } from '../command.ts';
import { columns } from '../output.ts';
import { ReceiptReader, newestReceipts } from '../receipt-watch.ts';
import type { VerifiedReceipt } from '../receipt-watch.ts';
import { Session, failureLines } from '../session.ts';

export function registerHostList(host: Command, run: Run): void {
  host
    .command('list')
    .summary('list hosts, and who has asked to join')
    .addHelpText('after', '\n  lapse host list')
    .action(() => run(list));
}

async function list(context: Context): Promise<void> {
  const session = await Session.open(context);
  const { hosts } = session.state;
  const members = activeHosts(hosts, session.fleet);
  const reader = new ReceiptReader(session);
  const receipts = await newestReceipts(session, reader, members);
  const joins = (await session.transport.joins()).filter(
    ({ name, signing }) => hosts.get(name)?.kid !== thumbprint(signing),
  );
  const rows = members.map((host) => hostRow(host, receipts.get(host.name)));
  const heading = ['HOST', 'POOLS', 'JOINED', 'LAST RECEIPT', 'FAILS'];
  context.output.result(
    [
      ...(rows.length > 0 ? columns([heading, ...rows]) : ['No hosts yet: lapse host invite']),
      ...joins.map(
        ({ name, pools, id }) => `${name} asks to join ${pools.join(', ')}: lapse host approve ${id}`,
      ),
      ...failureLines(session.state),
      ...reader.alarms.map((alarm) => `ALARM: ${alarm}`),
    ],
    {
      hosts: members.map((host) => hostJson(host, receipts.get(host.name))),
      joins: joins.map(({ name, pools, id, signing }) => ({ name, pools, id, signing: thumbprint(signing) })),
      alarms: reader.alarms,
    },
  );
}

function hostRow({ name, pools, joined }: HostRecord, last: VerifiedReceipt | undefined): readonly string[] {
  const failures = [...(last?.receipt.failures ?? [])].map(([role, code]) => `${role} (${code})`);
  return [
    name,
    pools.join(', '),
    formatInstant(joined),
    last ? formatInstant(last.receipt.at) : 'none',
    failures.join(', ') || '-',
  ];
}

export function hostJson({ name, pools, joined, kid }: HostRecord, last: VerifiedReceipt | undefined) {
  return {
    host: name,
    pools,
    joined: formatInstant(joined),
    signing: kid,
    lastReceipt: last ? formatInstant(last.receipt.at) : null,
    failures: Object.fromEntries(last?.receipt.failures ?? []),
  };
}
