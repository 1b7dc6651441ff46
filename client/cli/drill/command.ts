// One drill as a command: who takes part, the question, the run, and the report with its exit code.
import type { HostName } from '../../../manifest/names.ts';
import { servingHosts } from '../../../manifest/realm/hosts.ts';
import { CANARY, DRILL, orderJson } from '../../../manifest/realm/drill/order.ts';
import type { DrillKind } from '../../../manifest/realm/drill/order.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { ClientError } from '../../errors.ts';
import type { Context } from '../command.ts';
import { confirm } from '../confirm.ts';
import { listed } from '../confirmation.ts';
import { interruptible, onInterruptTwice } from '../interrupt.ts';
import { counted } from '../output.ts';
import { ReceiptWatch } from '../receipt-watch.ts';
import { Session, policyOf } from '../session.ts';
import { drillRunning, standingOrder } from './edits.ts';
import { groupsOf, newOrder, parsePlan } from './plan.ts';
import type { DrillOptions, DrillPlan } from './plan.ts';
import { Progress } from './progress.ts';
import { DrillReport } from './report.ts';
import { DrillRun } from './run.ts';

const ALONE = 'a drill waits for nobody: all its signers must be at hand';

/** @throws ClientError drill-running, drill-ended, drill-silent, drill-unmet, drill-aborted and others */
export async function drill(context: Context, kind: DrillKind, options: DrillOptions): Promise<void> {
  const plan = parsePlan(kind, options);
  using interrupt = onInterruptTwice(context.signal);
  const clock = interruptible(context.unbroken, interrupt.now);
  const session = await Session.open({ ...context, clock });
  const leaseSeconds = leaseOf(session);
  const hosts = chosenHosts(session, plan.hosts);
  const standing = standingOrder(session.state, clock.now());
  if (standing) throw drillRunning(standing);
  if (options.dryRun === true) {
    describe(context, plan, hosts, leaseSeconds);
    return;
  }
  await confirm(question(plan, hosts), options.yes ?? false);
  await session.readyAlone(DRILL, ALONE);
  await session.recipients(policyOf(session.state, DRILL));
  await using report = await DrillReport.open(plan);
  using receipts = await ReceiptWatch.open(session);
  const measured = async () => {
    using progress = new Progress(context.output, kind);
    const parts = { session, plan, hosts, leaseSeconds, receipts, progress, interrupt };
    return await new DrillRun(parts).run();
  };
  const record = await measured();
  if (interrupt.now.aborted)
    context.output.progress('Ended at once: the order may still stand; end it with lapse drill end');
  const { alarms } = receipts.reader;
  if (alarms.length > 0) throw new ClientError('receipts-conflict', `ALARM: ${alarms.join('; ')}`);
  await report.tell(context, session, record);
}

/** In seconds: the namespace's own, which is no longer than the realm's. */
function leaseOf({ state }: Session): number {
  if (!state.policies.has(DRILL))
    throw new ClientError('namespace-unknown', 'this realm does not practise yet; run: lapse drill enable');
  const lease = state.set.timestamp?.role.lease ?? 0;
  return Math.min(lease, policyOf(state, DRILL).leaseSeconds ?? lease);
}

/** @throws ClientError host-missing */
function chosenHosts({ state, fleet }: Session, named: readonly HostName[] | undefined): readonly HostName[] {
  const serving = servingHosts(state.hosts, fleet, policyOf(state, DRILL)).map(({ name }) => name);
  const stranger = named?.find((host) => !serving.includes(host));
  if (stranger !== undefined)
    throw new ClientError('host-missing', `${stranger} does not serve the namespace ${DRILL}`);
  if (serving.length === 0)
    throw new ClientError('host-missing', `no host serves the namespace ${DRILL} yet`);
  return named ?? serving;
}

function question({ kind, trials, warmUp, share }: DrillPlan, hosts: readonly HostName[]): string {
  const groups = groupsOf(hosts, share);
  const turns = groups.length > 1 ? `, in ${groups.length} groups` : '';
  return [
    `${counted(hosts.length, 'host')}: ${listed(hosts)}.`,
    `Practise ${kind}, ${counted(trials + warmUp, 'time')}${turns}?`,
  ].join('\n');
}

/** What would happen. */
function describe(
  { output, clock }: Context,
  plan: DrillPlan,
  hosts: readonly HostName[],
  leaseSeconds: number,
): void {
  const { kind, trials, warmUp, share, workload, paceMs } = plan;
  const groups = groupsOf(hosts, share);
  const orders = groups.map((group) => newOrder(plan, group, leaseSeconds, clock.now()));
  const pace = paceMs === 0 ? 'as fast as possible' : `one in ${paceMs} ms`;
  output.result(
    [
      `Drill ${kind}: ${counted(trials, 'trial')} after ${warmUp} to warm up, ${pace}. Nothing was published.`,
      ...groups.map((group, i) =>
        groups.length > 1 ? `Group ${i + 1}: ${listed(group)}` : `Hosts: ${listed(group)}`,
      ),
      `Published in each trial: ${DRILL}/${CANARY}, 32 random bytes for ${workload}; then ${WHAT[kind]}.`,
      ...orders.map(({ id, settleMs, until, crash }) =>
        [
          `Order ${id.slice(0, 12)}: until ${formatInstant(until)} at the latest, watched for ${settleMs} ms`,
          ...(crash ? [`strikes ${crash.victims.join(', ')} with ${crash.means.join(', ')}`] : []),
        ].join('; '),
      ),
    ],
    { dryRun: true, kind, trials, warmUp, paceMs, groups, leaseSeconds, orders: orders.map(orderJson) },
  );
}

const WHAT: Readonly<Record<DrillKind, string>> = {
  revoke: 'its revocation',
  rotate: 'the next one in its place, without overlap',
  workload: "the withdrawal of that workload's grant",
  partition: 'its revocation, which hosts do not hear of',
  crash: 'its revocation, while hosts are struck',
};
