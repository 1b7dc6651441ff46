// `lapse root rotate-online`: the next root names new online keys: after a theft, or a fast-forward attack, which it ends. The
// service has made them, and signs with them from the moment at which it takes this root.
import { parseOnlineKeys } from '../../../manifest/realm/exchange.ts';
import type { OnlinePair } from '../../../manifest/realm/exchange.ts';
import type { RootKeysChange } from '../../../manifest/realm/root-change.ts';
import { ed25519KeyJson, keyId } from '../../../manifest/tuf/keys.ts';
import type { Root } from '../../../manifest/tuf/root.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { makeRoot, withMakingOptions } from '../root-signing.ts';
import type { MakingOptions } from '../root-signing.ts';
import type { Session } from '../session.ts';
import { readValue } from '../value.ts';

interface RotateOptions extends MakingOptions {
  readonly stdin?: boolean;
}

export const registerRootRotateOnline: Register = (root, run) => {
  withMakingOptions(
    root
      .command('rotate-online')
      .summary("change the service's online keys")
      .description('Makes the next root, which names the new online keys that wait at the service.')
      .option('--stdin', 'read them from standard input, as lapse-service keys new prints them'),
  )
    .addHelpText(
      'after',
      `
Hosts forget every number that the old keys have signed, and take up the realm as the service has it.

  lapse-service keys new --data /var/lib/lapse-service     on the service's machine; it may run
  lapse root rotate-online`,
    )
    .action((options: RotateOptions) => run((context) => rotate(context, options)));
};

async function rotate(context: Context, options: RotateOptions): Promise<void> {
  await makeRoot(context, options, async (session) => {
    const pair = options.stdin ? await given(context) : await waiting(session);
    return onlineChange(session.state.set.root.role, pair);
  });
}

async function given({ input }: Context): Promise<OnlinePair> {
  if (input === 'shell') throw new ClientError('usage', '--stdin is not for lapse shell, which reads it');
  return parseOnlineKeys(await readValue({}, input));
}

async function waiting({ transport }: Session): Promise<OnlinePair> {
  const { next } = await transport.onlineKeys();
  if (next) return next;
  const advice = 'run there: lapse-service keys new --data DIR';
  throw new ClientError('not-found', `no new online keys wait at the service; ${advice}`);
}

function onlineChange({ roles }: Root, pair: OnlinePair): RootKeysChange {
  const of = (role: keyof OnlinePair) => {
    const added = keyId(ed25519KeyJson(pair[role]));
    const remove = [...roles[role].keys.keys()].filter((keyid) => keyid !== added);
    return { remove, add: [pair[role]], threshold: 1 };
  };
  return { snapshot: of('snapshot'), timestamp: of('timestamp') };
}
