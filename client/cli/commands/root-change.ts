// `lapse root change`: other people sign root and targets, or more or fewer of them: when somebody joins, leaves, or lost a key.
import type { RootKeysChange } from '../../../manifest/realm/root-change.ts';
import type { KeyId } from '../../../manifest/tuf/keys.ts';
import type { Root } from '../../../manifest/tuf/root.ts';
import { ClientError } from '../../errors.ts';
import type { PublicKeys } from '../../identity/identity.ts';
import type { Context, Register } from '../command.ts';
import type { Identities } from '../identities.ts';
import { collect, parseCount } from '../options.ts';
import { makeRoot, withMakingOptions } from '../root-signing.ts';
import type { MakingOptions } from '../root-signing.ts';

interface ChangeOptions extends MakingOptions {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly threshold?: string;
}

export const registerRootChange: Register = (root, run) => {
  withMakingOptions(
    root
      .command('change')
      .summary('change who signs root and targets')
      .description(
        'Makes the next root, with other people for root and targets. Needs the threshold of the old root and of the new.',
      )
      .option('--add <who>', 'signs from now on: a name or a public line (repeatable)', collect)
      .option(
        '--remove <key>',
        'signs no more: a key as lapse root show prints it, or a name (repeatable)',
        collect,
      )
      .option('--threshold <number>', 'how many of them it takes (default: as many as before)'),
  )
    .addHelpText(
      'after',
      `
Targets is signed again by its new keys when those that are left have not signed it. With --out nothing is
published: the file goes from person to person.

  lapse root change --remove 4f1c09be7d2a6358 --add lapse1…
  lapse root change --add lapse1… --add lapse1… --threshold 2 --out root.json
  lapse root sign root.json
  lapse root publish root.json`,
    )
    .action((options: ChangeOptions) => run((context) => change(context, options)));
};

async function change(context: Context, options: ChangeOptions): Promise<void> {
  const { add = [], remove = [], threshold } = options;
  if (add.length + remove.length === 0 && threshold === undefined) {
    throw new ClientError('usage', 'say what is to change; see --help');
  }
  const coming: PublicKeys[] = [];
  for (const who of add) coming.push(await context.identities.publicOf(who));
  await makeRoot(context, options, async ({ state: { set } }) => {
    const { role } = set.root;
    const leaving: KeyId[] = [];
    for (const key of remove) leaving.push(await memberOf(role, key, context.identities));
    return peopleChange(role, coming, leaving, threshold);
  });
}

function peopleChange(
  { roles }: Root,
  coming: readonly PublicKeys[],
  remove: readonly KeyId[],
  text: string | undefined,
): RootKeysChange {
  const of = (role: 'root' | 'targets') => {
    const { keys, threshold } = roles[role];
    const left = new Set([...keys.keys()].filter((keyid) => !remove.includes(keyid)));
    for (const { keyid } of coming) left.add(keyid);
    if (left.size === 0) throw new ClientError('usage', `nobody would be left to sign ${role}`);
    const needed = parseCount(text ?? String(threshold), '--threshold', 1, left.size);
    return { remove, add: coming.map(({ signing }) => signing), threshold: needed };
  };
  return { root: of('root'), targets: of('targets') };
}

/** @throws ClientError identity-unknown, public-line-invalid */
async function memberOf({ roles }: Root, text: string, identities: Identities): Promise<KeyId> {
  const members = new Set([...roles.root.keys.keys(), ...roles.targets.keys.keys()]);
  const meant = [...members].filter((keyid) => /^[0-9a-f]{8,64}$/.test(text) && keyid.startsWith(text));
  const keyid = meant[0] ?? (await identities.publicOf(text)).keyid;
  if (meant.length <= 1 && members.has(keyid)) return keyid;
  throw new ClientError('identity-unknown', `${text} is not one key of root; run: lapse root show`);
}
