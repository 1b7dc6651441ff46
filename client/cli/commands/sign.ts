// `lapse sign`: adds a signature to a change that somebody else proposed. It is verified against this machine's own realm, and
// told in words, before anybody is asked; the signature that completes it has it published, and is waited for like any change.
import { missingOf, signersOf } from '../../../manifest/realm/proposal.ts';
import type { ProposedRole } from '../../../manifest/realm/proposal.ts';
import type { Published } from '../../../manifest/realm/exchange.ts';
import type { Signature } from '../../../manifest/tuf/keys.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { confirm } from '../confirm.ts';
import { confirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { changedSecrets } from '../diff/secrets.ts';
import type { KnownIdentity } from '../identities.ts';
import { WAITING_HELP, parseWait, withWaiting } from '../options.ts';
import type { WaitWords } from '../options.ts';
import { changeLines, keyNames, openProposal, proposalJson, signatureLines, unknown } from '../proposal.ts';
import type { Proposal } from '../proposal.ts';
import { Session, shortId, stillPending } from '../session.ts';

interface SignOptions extends WaitWords {
  readonly yes?: boolean;
}

export const registerSign: Register = (program, run) => {
  withWaiting(
    program
      .command('sign')
      .argument('<id>', 'of lapse pending: eight digits or more')
      .summary('sign a change that somebody else proposed')
      .description('Shows what a change does, verified here, and signs it with the identities at hand.')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
Who signs answers for what the change does; the value of a secret is encrypted, and cannot be seen. When this was
the last signature that was missing, the change is published at once; otherwise it waits on (exit code 4).
${WAITING_HELP}

  lapse pending
  lapse sign 3f2a90b1c4d5`,
    )
    .action((id: string, options: SignOptions) => run((context) => sign(context, id, options)));
};

/** A role and who can sign it further, here. */
interface Part {
  readonly role: ProposedRole;
  readonly mine: readonly KnownIdentity[];
}

async function sign(context: Context, text: string, options: SignOptions): Promise<void> {
  const { clock, identities, output } = context;
  const wait = parseWait(options);
  const session = await Session.open(context);
  const proposal = await openProposal(session, text);
  const nameOf = await keyNames(identities);
  const changes = changeLines(proposal, nameOf, clock.now());
  const parts = await partsOf(session, proposal);
  const names = [...new Set(parts.flatMap(({ mine }) => mine.map(({ name }) => name)))].join(', ');
  output.early(...signatureLines(proposal, nameOf), ...changes.map((line) => `  ${line}`));
  const question = parts.length > 0 ? `Sign it as ${names}?` : 'Nobody is missing; publish it?';
  await confirm(question, options.yes ?? false);
  const signatures = await signaturesOf(session, parts, proposal);
  const json = { ...proposalJson(proposal, changes), signedAs: names };
  const change = awaited(proposal, wait);
  if (change) {
    const outcome = await confirmed(context, session, change, async () =>
      session.published(await post(session, proposal, signatures)),
    );
    report(context, outcome, change, json);
    return;
  }
  const { timestamp } = await session.published(await post(session, proposal, signatures));
  output.result(['It was the last signature that was missing: the change is published.'], {
    ...json,
    timestamp,
  });
}

/** The roles that lack a signature which can be given here. @throws ClientError signatures-missing */
async function partsOf(session: Session, { id, roles }: Proposal): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const role of roles.filter((each) => missingOf(each) > 0)) {
    const signed = new Set(signersOf(role));
    const mine = (await session.identities.among(role.keys.keys.keys())).filter(
      ({ keyid }) => !signed.has(keyid),
    );
    if (mine.length > 0) parts.push({ role, mine });
  }
  if (parts.length > 0 || roles.every((role) => missingOf(role) === 0)) return parts;
  throw stillPending(id, 'nobody at hand can sign it further');
}

async function signaturesOf(
  session: Session,
  parts: readonly Part[],
  { roles }: Proposal,
): Promise<ReadonlyMap<string, readonly Signature[]>> {
  // Where the last signature was taken, and the publish failed, any of them sent again has it tried again.
  const [first] = parts.length === 0 ? roles : [];
  const signatures = new Map(first && [[first.name, first.signatures]]);
  for (const { role, mine } of parts) {
    const signers = await session.identities.openSome(mine, missingOf(role));
    const made = signers.map(async (signer) => ({
      keyid: signer.public.keyid,
      sig: await signer.sign(role.file.canonical),
    }));
    signatures.set(role.name, await Promise.all(made));
  }
  return signatures;
}

/** @throws ClientError signatures-missing, pending-unknown */
async function post(
  session: Session,
  { id }: Proposal,
  signatures: ReadonlyMap<string, readonly Signature[]>,
): Promise<Published> {
  let lack = '';
  for (const [role, list] of signatures) {
    const answer = await addSignatures(session, id, role, list);
    if ('published' in answer) return answer.published;
    lack = answer.waiting.roles
      .map(({ name, threshold, signed }) => [name, threshold - signed.length] as const)
      .filter(([, missing]) => missing > 0)
      .map(([name, missing]) => `${name} needs ${missing} more of its keys to sign`)
      .join('; ');
  }
  throw stillPending(id, `Signed, and ${lack}`);
}

async function addSignatures(session: Session, id: string, role: string, signatures: readonly Signature[]) {
  try {
    return await session.transport.addSignatures(id, { role, signatures });
  } catch (error) {
    if (error instanceof ClientError && error.code === 'not-found') throw unknown(shortId(id));
    throw error;
  }
}

/** What hosts confirm: a change of one namespace and of nothing else. */
function awaited({ roles, before, after }: Proposal, options: Change['options']): Change | undefined {
  const [only, ...others] = roles;
  if (!only || others.length > 0) return undefined;
  const namespace = [...after.secrets.keys()].find((name) => name === only.name);
  if (namespace === undefined) return undefined;
  const secrets = after.secrets.get(namespace) ?? new Map();
  return {
    namespace,
    role: only.name,
    names: changedSecrets(before.secrets.get(namespace), secrets).map(({ name }) => name),
    options,
    said: (ms) => [`It was the last signature that was missing: the change is published, after ${ms} ms.`],
  };
}
