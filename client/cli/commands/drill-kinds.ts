// `lapse drill revoke|rotate|workload|partition|crash`: practises one of them many times on hosts that have opted in, and says
// what came of it, in the terminal, as JSON, for a browser, for CI.
import { DRILL } from '../../../manifest/realm/drill/order.ts';
import type { DrillKind } from '../../../manifest/realm/drill/order.ts';
import type { Register } from '../command.ts';
import { drill } from '../drill/command.ts';
import { withCrashOptions, withDrillOptions } from '../drill/plan.ts';
import type { DrillOptions } from '../drill/plan.ts';

const KINDS: Readonly<Record<DrillKind, { readonly summary: string; readonly description: string }>> = {
  revoke: {
    summary: 'take a canary back, and see when it is gone',
    description: 'Revokes a canary again and again: when did the last read of it succeed?',
  },
  rotate: {
    summary: 'replace a canary, and see when the old one is gone',
    description: 'Replaces a canary again and again, without any overlap.',
  },
  workload: {
    summary: "take a workload's access to a canary away",
    description: "Withdraws one workload's grant of a canary again and again.",
  },
  partition: {
    summary: 'revoke while hosts hear nothing',
    description: 'Hosts drop the news of the drill before each revocation: reads must end with the lease.',
  },
  crash: {
    summary: 'revoke while the daemon is struck',
    description: 'Hosts kill or stop their own server around each revocation: nothing may be read after it.',
  },
};

const HELP = `
Only the canary ${DRILL}/canary is published and taken back. One drill runs in a realm at a time. A host takes part
when it has opted in (drill = "on" in lapsed.toml), and no oftener than its daily cap.
With --share 50% the hosts are split into groups of at most half of them; each group makes all its trials, one
group after another, so never more than that share is in the drill at once.
Ctrl-C ends the drill in order: the canary is taken back, and what was measured is reported. A second one ends at
once; hosts then stop by themselves when the time of the order is over (lapse drill end is faster).
Exit codes: 0 it showed what is promised; 1 it could not be made; 5 a host was silent, or none took part; 6 a read
after the effect, the bound or an objective not met; 130 broken off.
`;

export const registerDrillKinds: Register = (program, run) => {
  for (const [kind, { summary, description }] of Object.entries(KINDS) as [
    DrillKind,
    typeof KINDS.revoke,
  ][]) {
    const command = withDrillOptions(program.command(kind).summary(summary).description(description));
    (kind === 'crash' ? withCrashOptions(command) : command)
      .addHelpText(
        'after',
        `${HELP}
  lapse drill ${kind} --dry-run
  lapse drill ${kind} --trials 200 --slo '${kind} p99 < 250ms' --report drill.html`,
      )
      .action((options: DrillOptions) => run((context) => drill(context, kind, options)));
  }
};
