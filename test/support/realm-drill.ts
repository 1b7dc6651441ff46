// A machine whose realm holds drills: what an operator's command would publish, and what the host says of it, read at the service.
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { parseFileName } from '../../manifest/names.ts';
import type { Workload } from '../../manifest/names.ts';
import { parseStoredReceipts } from '../../manifest/realm/exchange.ts';
import { PROBE, orderJson } from '../../manifest/realm/drill/order.ts';
import type { CrashOrder, DrillKind, DrillOrder } from '../../manifest/realm/drill/order.ts';
import { WAYS, isStatement, verifyStatement } from '../../manifest/realm/drill/statement.ts';
import type { DrillStatement, Observed } from '../../manifest/realm/drill/statement.ts';
import { until } from './lapsed.ts';
import type { RealmMachine } from './lapsed-realm.ts';

const SETTLE_MS = 60;

export class RealmDrill {
  readonly #machine: RealmMachine;
  readonly #workload: Workload;
  /** How many versions of the canary there were. */
  version = 0;

  constructor(machine: RealmMachine, workload: Workload = PROBE) {
    this.#machine = machine;
    this.#workload = workload;
  }

  async begin(kind: DrillKind, crash?: CrashOrder): Promise<DrillOrder> {
    const order: DrillOrder = {
      ...{ id: randomBytes(16).toString('hex'), kind, hosts: [this.#machine.host.name] },
      ...{ workload: this.#workload, trials: 2, settleMs: SETTLE_MS },
      until: Math.ceil(Date.now() / 1000) * 1000 + 60_000,
      ...(crash && { crash }),
    };
    await this.#publish(order);
    return order;
  }

  async putCanary(): Promise<void> {
    const grant = { file: parseFileName('canary'), uid: 0, gid: 0, mode: 0o400 };
    await this.#machine.put('drill/canary', randomBytes(16).toString('hex'), {
      grants: [{ ...grant, workload: this.#workload }],
    });
    this.version += 1;
  }

  async revoke(): Promise<void> {
    await this.#machine.publish(this.#machine.realm.revoke('drill', 'canary', this.version));
  }

  said(order: DrillOrder, kind: 'armed'): Promise<DrillStatement>;
  said(order: DrillOrder, kind: 'observed'): Promise<Observed>;
  said(order: DrillOrder, kind: DrillStatement['kind']): Promise<DrillStatement> {
    const { lapsed } = this.#machine;
    return until(`${kind} ${this.version}`, async () => {
      const all = await this.#statements(order);
      const refused = all.find((each) => each.kind === 'refused');
      if (refused) throw new Error(`refused: ${refused.code}`);
      return all.find(
        (each) => each.kind !== 'refused' && each.kind === kind && each.version === this.version,
      );
    }).catch((cause: unknown) => {
      throw new Error(lapsed.log, { cause });
    });
  }

  async end(): Promise<void> {
    await this.#publish(undefined);
    const isIdle = ({ drill }: { readonly drill: { readonly state: string } }): boolean =>
      drill.state === 'idle';
    const { workloads } = await this.#machine.statusOf('the end of the drill', isIdle);
    expect(workloads.filter(({ workload }) => workload === PROBE)).toEqual([]);
  }

  async #publish(order: DrillOrder | undefined): Promise<void> {
    const { realm } = this.#machine;
    const drill = order ? orderJson(order) : null;
    await this.#machine.publish(realm.adopt(realm.draft('drill', { drill })));
  }

  /** Everything that the host has said of an order. */
  async #statements({ id }: DrillOrder): Promise<readonly DrillStatement[]> {
    const { host, realm, service } = this.#machine;
    const { receipts } = parseStoredReceipts(await service.client.file('receipts?after=0'));
    const said = receipts.filter(({ jws }) => isStatement(jws));
    const verified = await Promise.all(said.map(({ jws }) => verifyStatement(jws, host as never, realm.id)));
    return verified.filter(({ drill }) => drill === id);
  }
}

/** The canary was read in every way, in none after its end, and that would have been noticed. */
export function expectNoneLate({ ways }: Observed): void {
  for (const way of WAYS) {
    const { reads, late, attemptsAfter, lastRead, firstDenied } = ways[way];
    expect({ way, late, isRead: reads > 0 }).toEqual({ way, late: 0, isRead: true });
    expect(attemptsAfter, way).toBeGreaterThan(0);
    expect(firstDenied, way).toBeGreaterThanOrEqual(lastRead ?? Infinity);
  }
}
