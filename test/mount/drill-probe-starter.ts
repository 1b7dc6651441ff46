// Starts a probe and says where it runs, for a parent that then kills it: node drill-probe-starter.ts PATH DIRECTORY
import { systemClock } from '../../client/clock.ts';
import { ProbeGroup } from '../../daemon/drill/probe-group.ts';
import { Probe } from '../../daemon/drill/probe.ts';
import { PROBE_PROGRAM, inSeconds } from '../support/drill-canary.ts';

const [path = '', directory = ''] = process.argv.slice(2);
const place = ProbeGroup.make();
const order = { program: PROBE_PROGRAM, path, directory, untilNs: inSeconds(60), place };
await Probe.start(order, systemClock());
process.send?.(place.directory);
setInterval(() => undefined, 1000);
