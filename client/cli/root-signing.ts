// How a next root gets its signatures: those of everybody at hand, here and now, or in a file that goes from person to
// person. Whoever signs has seen what changes, and has said yes.
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { EXCHANGE_LIMITS } from '../../manifest/realm/exchange.ts';
import type { RootKeysChange } from '../../manifest/realm/root-change.ts';
import { ClientError } from '../errors.ts';
import type { Context } from './command.ts';
import { confirm } from './confirm.ts';
import type { Identities } from './identities.ts';
import { keyName, rootDifference } from './root-difference.ts';
import { RootDraft } from './root-draft.ts';
import { Session } from './session.ts';

export interface RootOptions {
  readonly yes?: boolean;
  readonly expired?: boolean;
}

export interface MakingOptions extends RootOptions {
  readonly out?: string;
}

/** Of every command that looks at the realm to change its root. */
export function withExpired(command: Command): Command {
  return command.option(
    '--expired',
    'also when the realm has expired, though nobody can tell then whether it is the newest',
  );
}

/** Of those that sign. */
export function withSigning(command: Command): Command {
  return withExpired(command.option('-y, --yes', 'do not ask'));
}

export function withMakingOptions(command: Command): Command {
  return withSigning(
    command.option('--out <file>', 'publish nothing: write what others are to sign with lapse root sign'),
  );
}

/** Makes the next root, signs it with whoever is at hand, and publishes it or writes it to a file. */
export async function makeRoot(
  context: Context,
  { yes = false, expired = false, out }: MakingOptions,
  change: (session: Session) => RootKeysChange | Promise<RootKeysChange>,
): Promise<void> {
  const session = await Session.open(context, { expired });
  const { state, updater } = session;
  const draft = RootDraft.make(updater.realm, state.set, await change(session), context.clock.now());
  await agree(context, draft, yes);
  await signAtHand(context, draft);
  if (out === undefined) return publishRoot(context, session, draft);
  await writeDraft(out, draft);
  await reportFile(context, draft, out);
}

/** Shows what is about to be signed, and asks. @throws ClientError not-confirmed */
export async function agree({ output, identities }: Context, draft: RootDraft, yes: boolean): Promise<void> {
  output.progress(...rootDifference(draft, await namesOf(identities)));
  await confirm(`Sign root ${draft.next.role.version}?`, yes);
}

/** Everybody who is asked, unlocked, and has not signed; others as far as they are needed. Returns their names. */
export async function signAtHand({ identities }: Context, draft: RootDraft): Promise<ReadonlySet<string>> {
  const signers = new Set<string>();
  for (const demand of draft.demands) {
    const asked = [...demand.keys.keys.keys()].filter((keyid) => !draft.isSigned(demand.part, keyid));
    for (const known of await identities.among(asked)) {
      const isOpen = known.unlockedSeconds !== undefined || known.file?.isProtected === false;
      if (!isOpen && draft.lack(demand) === 0) continue;
      await draft.sign(demand.part, await identities.open(known));
      signers.add(known.name);
    }
  }
  return signers;
}

/** @throws ClientError signatures-missing, and what the service answers */
export async function publishRoot(context: Context, session: Session, draft: RootDraft): Promise<void> {
  const missing = missingLines(draft, await namesOf(context.identities));
  if (missing.length > 0) {
    const advice = 'for others to sign it, write it with --out FILE';
    throw new ClientError('signatures-missing', `${missing.join('; ')}; ${advice}`);
  }
  const published = await session.transport.changeRoot(draft.change());
  await session.refresh();
  const { version, expires, roles } = draft.next.role;
  const { threshold, keys } = roles.root;
  context.output.result([`Root ${version} is in force: ${threshold} of ${keys.size} sign it.`], {
    root: version,
    expires: new Date(expires).toISOString(),
    threshold,
    keys: [...keys.keys()],
    timestamp: published.timestamp,
  });
}

/** Says who is still to sign a file. */
export async function reportFile(
  { output, identities }: Context,
  draft: RootDraft,
  file: string,
): Promise<void> {
  const missing = missingLines(draft, await namesOf(identities));
  output.result(
    [
      ...missing,
      missing.length > 0
        ? `Next, for each of them: lapse root sign ${file}`
        : `Nobody else is needed. Next: lapse root publish ${file}`,
    ],
    { file, root: draft.next.role.version, missing },
  );
}

/** @throws ClientError root-file-malformed, value-unreadable */
export async function readDraft(path: string, { updater, state }: Session): Promise<RootDraft> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new ClientError('value-unreadable', `cannot read ${path}`, { cause });
  });
  if (bytes.length > EXCHANGE_LIMITS.body) {
    throw new ClientError('root-file-malformed', `${path} is too large for a root`);
  }
  return RootDraft.parse(bytes, updater.realm, state.set);
}

/** Whole or not at all. Nothing in it is secret. @throws ClientError value-unreadable */
export async function writeDraft(path: string, draft: RootDraft): Promise<void> {
  const unfinished = `${path}.${randomBytes(4).toString('hex')}.new`;
  try {
    {
      await using file = await open(unfinished, 'wx', 0o644);
      await file.writeFile(draft.encode());
      await file.sync();
    }
    await rename(unfinished, path);
  } catch (cause) {
    throw new ClientError('value-unreadable', `cannot write ${path}`, { cause });
  } finally {
    await rm(unfinished, { force: true });
  }
}

export async function namesOf(identities: Identities): Promise<ReadonlyMap<string, string>> {
  const { identities: known } = await identities.list();
  return new Map(known.map(({ keyid, name }) => [keyid, name]));
}

/** Who is still to sign, demand by demand. */
export function missingLines(draft: RootDraft, names: ReadonlyMap<string, string>): readonly string[] {
  return draft.demands.flatMap((demand) => {
    const lack = draft.lack(demand);
    if (lack === 0) return [];
    const { by, part, keys } = demand;
    const asked = [...keys.keys.keys()].filter((keyid) => !draft.isSigned(part, keyid));
    return [`${by} needs ${lack} more of: ${asked.map((keyid) => keyName(keyid, names)).join(', ')}`];
  });
}
