// A drill whose probe runs inside a real container of runc that the host's operator chose (`drill_exec`): what it reads is the
// container's own view, and the host registers nobody for it.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseWorkload } from '../../manifest/names.ts';
import { Inside, ROOT, bind } from '../support/container-inside.ts';
import { runc } from '../support/container-runc.ts';
import { PROBE_PROGRAM } from '../support/drill-canary.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';
import { RealmDrill, expectNoneLate } from '../support/realm-drill.ts';

const WORKLOAD = 'web-canary';

let resources: AsyncDisposableStack;
let machine: RealmMachine;
let inside: Inside;

// A realm of its own for each try: versions and orders of the last one would stand in it.
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  machine = resources.use(await RealmMachine.start({ lease: 10, namespaces: { payments: {}, drill: {} } }));
  const { shared } = machine.places;
  mkdirSync(shared, { recursive: true });
  const program = {
    source: dirname(PROBE_PROGRAM),
    destination: dirname(PROBE_PROGRAM),
    options: ['bind', 'ro'],
  };
  const runtime = await runc(machine.places, { workload: WORKLOAD, binds: [bind(shared, shared), program] });
  const [command, ...words] = runtime.exec(ROOT);
  const exec = [command, ...words.slice(0, -1), '--preserve-fds', '1', runtime.id];
  await machine.startLapsed({ drill: 'on', drill_exec: exec });
  inside = resources.use(await Inside.start(runtime));
}, 120_000);

afterEach(() => resources.disposeAsync());

it('reads in the container in four ways until the revocation is in effect there, and never after', async () => {
  const drill = new RealmDrill(machine, parseWorkload(WORKLOAD));
  const order = await drill.begin('revoke');
  for (let trial = 1; trial <= 2; trial++) {
    await drill.putCanary();
    await drill.said(order, 'armed');
    expect(await inside.sh(`cat ${machine.mount}/self/canary`)).toMatch(/^[0-9a-f]{32}$/);
    expect(await inside.sh('grep -l self/canar[y] /proc/[0-9]*/cmdline')).toMatch(/^\/proc\/\d+\/cmdline$/m);
    const { workloads } = await machine.status();
    expect(workloads.map(({ workload }) => workload)).toEqual([WORKLOAD]);
    await drill.revoke();
    expectNoneLate(await drill.said(order, 'observed'));
    expect(await inside.sh(`cat ${machine.mount}/self/canary`)).toMatch(/No such file/);
  }
  await drill.end();
});
