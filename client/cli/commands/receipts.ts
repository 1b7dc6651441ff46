// `lapse receipts`: what each host said last, verified with its own key; with --follow, what hosts say from now on.
import type { Receipt } from '../../../manifest/realm/receipt.ts';
import { activeHosts } from '../../../manifest/realm/hosts.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import type { Context, Register } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { columns } from '../output.ts';
import { ReceiptReader, ReceiptWatch, newestReceipts, storedReceipts } from '../receipt-watch.ts';
import type { VerifiedReceipt } from '../receipt-watch.ts';
import { Session } from '../session.ts';

interface ReceiptsOptions {
  readonly all?: boolean;
  readonly follow?: boolean;
}

export const registerReceipts: Register = (program, run) => {
  program
    .command('receipts')
    .summary('show what hosts have confirmed')
    .description(
      "Shows each host's newest receipt. A receipt is the word of an honest host, no proof of erasure.",
    )
    .option('--all', 'every receipt that the service keeps')
    .option('--follow', 'then go on with each as it comes, until Ctrl-C; with --json one document a line')
    .addHelpText('after', '\n  lapse receipts\n  lapse receipts --follow')
    .action((options: ReceiptsOptions) => run((context) => receipts(context, options)));
};

async function receipts(context: Context, { all = false, follow = false }: ReceiptsOptions): Promise<void> {
  const session = await Session.open(context);
  using watch = follow ? await ReceiptWatch.open(session) : undefined;
  const reader = watch?.reader ?? new ReceiptReader(session);
  const found = await (all ? everyReceipt(session, reader) : newest(session, reader));
  const rows = found.map(({ receipt }) => row(receipt));
  context.output.result(
    [
      ...(rows.length > 0
        ? columns([['HOST', 'AT', 'NUMBER', 'EFFECT', 'WITHDREW', 'FAILS'], ...rows])
        : ['No receipts yet.']),
      ...alarmLines(reader, 0),
    ],
    { receipts: found.map(({ id, receipt }) => json(id, receipt)), alarms: reader.alarms },
  );
  if (watch) await showNew(context, watch);
}

async function newest(session: Session, reader: ReceiptReader): Promise<readonly VerifiedReceipt[]> {
  const hosts = activeHosts(session.state.hosts, session.fleet);
  return [...(await newestReceipts(session, reader, hosts)).values()];
}

async function everyReceipt(session: Session, reader: ReceiptReader): Promise<readonly VerifiedReceipt[]> {
  const found: VerifiedReceipt[] = [];
  for await (const stored of storedReceipts(session)) {
    const verified = await reader.read(stored);
    if (verified && 'receipt' in verified) found.push(verified);
  }
  return found;
}

async function showNew({ output, signal }: Context, watch: ReceiptWatch): Promise<void> {
  using interrupt = onInterrupt(signal);
  let told = watch.reader.alarms.length;
  while (!interrupt.signal.aborted) {
    for (const { id, receipt } of await watch.take(interrupt.signal)) {
      output.result([row(receipt).join('  '), ...alarmLines(watch.reader, told)], json(id, receipt));
      told = watch.reader.alarms.length;
    }
  }
}

function alarmLines({ alarms }: ReceiptReader, from: number): readonly string[] {
  return alarms.slice(from).map((alarm) => `ALARM: ${alarm}`);
}

function row({ host, at, sequence, withdrawn, more, effectUs, failures }: Receipt): readonly string[] {
  const withdrew = [...withdrawn, ...(more > 0 ? [`and ${more} more`] : [])];
  return [
    host,
    formatInstant(at),
    String(sequence),
    `${effectUs / 1000} ms`,
    withdrew.join(', ') || '-',
    [...failures].map(([role, code]) => `${role} (${code})`).join(', ') || '-',
  ];
}

function json(id: number, receipt: Receipt) {
  return {
    id,
    ...receipt,
    at: formatInstant(receipt.at),
    roles: Object.fromEntries([...receipt.roles].map(([role, file]) => [role, { ...file }])),
    failures: Object.fromEntries(receipt.failures),
  };
}
