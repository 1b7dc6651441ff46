// What can go wrong in the daemon, as stable codes. No message ever holds a value or a key.
import { LapseError } from '../manifest/errors.ts';

export type DaemonCode =
  | 'config-unreadable'
  | 'config-malformed'
  | 'memory-not-locked'
  | 'core-dumps-allowed'
  | 'arena-full'
  | 'slots-full'
  | 'no-recipient'
  | 'envelope-refused'
  | 'node-collision'
  | 'file-conflict'
  | 'workload-unknown'
  | 'workload-conflict'
  | 'cgroup-unusable'
  | 'worker-failed'
  | 'mount-gone'
  | 'holder-failed'
  | 'control-unavailable'
  | 'hook-refused';

export class DaemonError extends LapseError<DaemonCode> {}
