// Where probes come from: one at a time on this host, in a control group of its own that is registered as the order's
// workload, or in the container that the operator chose, which is registered already.
import { join } from 'node:path';
import type { Clock } from '../../client/clock.ts';
import { PROBE } from '../../manifest/realm/drill/order.ts';
import type { FileName, Workload } from '../../manifest/names.ts';
import type { DrillConfig } from '../config.ts';
import { DaemonError } from '../errors.ts';
import type { Cgroup } from '../identity/cgroup.ts';
import { identifyProcess } from '../identity/process.ts';
import type { ProcessIdentity } from '../identity/process.ts';
import { ProbeGroup } from './probe-group.ts';
import { Probe } from './probe.ts';

export type RunningProbe = Pick<
  Probe,
  'isRunning' | 'snapshot' | 'untilShown' | 'arm' | 'effect' | 'untilRefused' | 'untilCounted' | 'stop'
>;

export interface Started {
  readonly probe: RunningProbe;
  /** To be registered, if it is not somebody else's. */
  readonly group?: Cgroup;
  /** With whose end the registration ends. */
  readonly init?: ProcessIdentity;
}

/** What the probe is to read, and until when; nanoseconds of CLOCK_MONOTONIC. */
export interface ProbeWish {
  readonly workload: Workload;
  readonly file: FileName;
  readonly untilNs: bigint;
}

export interface Prober {
  /** @throws DaemonError probe-failed */
  start(wish: ProbeWish): Promise<Started>;
  /** The one that an earlier server left. @throws DaemonError probe-failed when that one cannot be ended */
  adopt(): Promise<RunningProbe | undefined>;
}

/** `directory` is on tmpfs; `mount` is where readers find the file system. */
export function systemProber(config: DrillConfig, directory: string, mount: string, clock: Clock): Prober {
  return {
    async start({ workload, file, untilNs }) {
      const place = workload === PROBE ? ProbeGroup.make() : config.exec;
      if (!(place instanceof ProbeGroup) && place.length === 0)
        throw new DaemonError('probe-failed', `drill_exec does not say how to start a probe in ${workload}`);
      const path = join(mount, 'self', file);
      const probe = await Probe.start({ program: config.probe, path, directory, untilNs, place }, clock);
      if (!(place instanceof ProbeGroup)) return { probe };
      const [pid = 0] = place.members;
      const init = identifyProcess(pid);
      return { probe, group: place.cgroup(), ...(init && { init }) };
    },
    adopt: () => Probe.adopt(directory, clock),
  };
}
