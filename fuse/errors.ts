/**
 * Every failure that leaves this folder, with a code that is part of the interface: callers branch on `code`, people
 * read the message, and `cause` keeps what the system said.
 */
export type FuseErrorCode =
  /** /dev/fuse cannot be opened. */
  | 'device-unavailable'
  /** The kernel refused a read or a write on the device for a reason that trying again does not cure. */
  | 'device-failed'
  /** The kernel speaks a protocol older than 7.31. */
  | 'protocol-unsupported'
  /** mount(8) or umount(8) said no; the message carries its words. */
  | 'mount-failed'
  | 'unmount-failed'
  /** A living server serves the mountpoint, or one that does not answer. */
  | 'mount-in-use'
  /** Another file system is mounted there; it was left alone. */
  | 'mount-foreign'
  /** A command did not end before the signal that bounds it. */
  | 'deadline'
  /** The kernel refused an invalidation: what it caches may still be visible. */
  | 'notify-failed'
  /** What was started under a holder has none any more, or never had: nothing would take over, so it must end. */
  | 'holder-gone'
  /** What an earlier server left for the next is missing or malformed: nobody can go on where it ended. */
  | 'state-invalid'
  /** The package fuse-native, or the library it needs, is not installed. */
  | 'engine-unavailable'
  /** fuse-native could not mount or unmount. */
  | 'engine-failed';

export class FuseError extends Error {
  override readonly name = 'FuseError';
  readonly code: FuseErrorCode;

  constructor(code: FuseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The errno name (`ENOENT`) that Node puts on a failed system call, if this is one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
