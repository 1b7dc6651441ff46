// What can go wrong in the daemon, as stable codes. No message ever holds a value or a key.
import { LapseError } from '../manifest/errors.ts';

export type DaemonCode =
  | 'config-unreadable'
  | 'config-malformed'
  | 'memory-not-locked'
  | 'core-dumps-allowed'
  | 'arena-full'
  | 'slots-full'
  | 'leases-full'
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
  /** What an earlier server left is damaged, of another boot or of another format. */
  | 'runtime-unreadable'
  /** What the next server would need could not be written: the change must not take effect. */
  | 'runtime-unwritable'
  | 'control-unavailable'
  | 'hook-refused'
  /** This host's own files, in its state directory. */
  | 'host-not-joined'
  | 'host-unreadable'
  | 'host-unwritable'
  /** Joining. */
  | 'host-joined'
  | 'host-name-taken'
  | 'host-keys-swapped'
  | 'invite-used'
  | 'realm-mismatch'
  | 'join-unanswered'
  /** This host's wall clock is ahead of what the service confirms to be the newest. */
  | 'clock-ahead'
  /** The fleet no longer lists this host, or not yet. */
  | 'host-unlisted'
  /** Why this host takes no part in a drill. */
  | 'drill-off'
  | 'drill-cap'
  | 'drill-busy'
  /** A drill's probe cannot be started or ended, or what it says makes no sense. */
  | 'probe-failed';

export class DaemonError extends LapseError<DaemonCode> {}
