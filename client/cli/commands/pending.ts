// `lapse pending`: the changes that wait for signatures of others; with an id, what one of them does, verified here.
import { formatInstant } from '../../../manifest/shape.ts';
import { waitingJson } from '../../../manifest/realm/pending.ts';
import type { Waiting } from '../../../manifest/realm/pending.ts';
import type { Context, Register } from '../command.ts';
import type { NameOf } from '../diff/people.ts';
import { changeLines, keyNames, openProposal, proposalJson, signatureLines } from '../proposal.ts';
import { Session, shortId } from '../session.ts';

export const registerPending: Register = (program, run) => {
  program
    .command('pending')
    .argument('[id]', 'how an id begins: eight digits or more')
    .summary('changes that wait for signatures')
    .description('Lists the changes that wait for signatures of others, or shows what one of them does.')
    .addHelpText(
      'after',
      `
A change that fewer sign than must waits at the service for 7 days. The list is what the service says; a single
change is verified here, as if it had been published, before it is shown.

  lapse pending
  lapse pending 3f2a90b1c4d5
  lapse sign 3f2a90b1c4d5`,
    )
    .action((id: string | undefined) =>
      run((context) => (id === undefined ? list(context) : show(context, id))),
    );
};

async function list(context: Context): Promise<void> {
  const session = await Session.open(context);
  const waiting = await session.transport.pending();
  const nameOf = await keyNames(context.identities);
  const lines = waiting.flatMap((each) => waitingLines(each, nameOf));
  context.output.result(lines.length > 0 ? lines : ['No change waits for signatures.'], {
    pending: waiting.map(waitingJson),
  });
}

function waitingLines({ id, at, roles }: Waiting, nameOf: NameOf): readonly string[] {
  return [
    `${shortId(id)}  since ${formatInstant(at)}`,
    ...roles.map(({ name, version, threshold, signed }) => {
      const missing = Math.max(0, threshold - signed.length);
      return `  ${name} ${version}: signed by ${signed.map(nameOf).join(', ')}; ${missing || 'nobody'} missing`;
    }),
  ];
}

async function show(context: Context, text: string): Promise<void> {
  const { clock, identities, output } = context;
  const session = await Session.open(context);
  const proposal = await openProposal(session, text);
  const nameOf = await keyNames(identities);
  const changes = changeLines(proposal, nameOf, clock.now());
  const next = `Next: lapse sign ${shortId(proposal.id)}`;
  output.result(
    [...signatureLines(proposal, nameOf), ...changes.map((line) => `  ${line}`), next],
    proposalJson(proposal, changes),
  );
}
