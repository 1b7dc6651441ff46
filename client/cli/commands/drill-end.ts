// `lapse drill end`: ends a drill that stands, whoever ordered it: hosts stop their probes, and the canary is taken back.
import { isLapseError } from '../../../manifest/errors.ts';
import { CANARY, DRILL } from '../../../manifest/realm/drill/order.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { confirm } from '../confirm.ts';
import { publishConfirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { endEdit, orderText, standingOrder } from '../drill/edits.ts';
import { WAITING_HELP, parseWait, withWaiting } from '../options.ts';
import type { WaitWords } from '../options.ts';
import { Session, secretsOf } from '../session.ts';

interface EndOptions extends WaitWords {
  readonly yes?: boolean;
}

export const registerDrillEnd: Register = (drill, run) => {
  withWaiting(
    drill
      .command('end')
      .summary('end a drill that stands')
      .description('Ends the drill that stands, whoever ordered it, and takes its canary back.')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
For a drill whose command died: it would end by itself, when its time is over.
${WAITING_HELP}

  lapse drill end`,
    )
    .action((options: EndOptions) => run((context) => end(context, options)));
};

async function end(context: Context, options: EndOptions): Promise<void> {
  const wait = parseWait(options);
  const session = await Session.open(context);
  secretsOf(session.state, DRILL);
  const isThere = (currentRole(session.state.set, DRILL)?.raw['drill'] ?? null) !== null;
  if (!isThere) {
    context.output.result(['No drill stands.'], { ended: false });
    return;
  }
  const change: Change = {
    namespace: DRILL,
    role: DRILL,
    names: [CANARY],
    options: wait,
    said: (ms) => [`The drill has ended; published after ${ms} ms.`],
  };
  const what = describe(session.state, context.clock.now());
  await confirm(`${what} End it?`, options.yes ?? false);
  const outcome = await publishConfirmed(context, session, change, (state) =>
    endEdit(state, context.clock.now()),
  );
  report(context, outcome, change, { ended: true });
}

/** One that no host could read is ended like any other. */
function describe(state: RealmState, now: number): string {
  try {
    const standing = standingOrder(state, now);
    return standing ? `There is a drill: ${orderText(standing)}.` : 'A drill stands, whose time is over.';
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return `A drill stands that nobody can read: ${error.message}.`;
  }
}
