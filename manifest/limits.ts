// Every limit that manifest/ applies, in one table: sizes in bytes, depths and counts. Input beyond a limit is
// refused with a typed error before anything is computed from it.

export const LIMITS = {
  /** One secret's value. */
  valueBytes: 1 << 20,
  /** Nesting of any JSON document. */
  jsonDepth: 32,
  /** Objects, arrays, members and elements in any JSON document. */
  jsonValues: 1_000_000,
  rootBytes: 64 << 10,
  timestampBytes: 16 << 10,
  snapshotBytes: 1 << 20,
  targetsBytes: 8 << 20,
  /** Root files that one refresh may walk (TUF 1.0.34 §5.3.3, "Y"). */
  rootRotations: 256,
  keysPerRole: 32,
  signatures: 64,
  /** Roles that one targets role may delegate to, and paths or prefixes that one delegation may have. */
  delegations: 32_768,
  delegationPaths: 32_768,
  /** Roles that one search for a target may ask (TUF 1.0.34 §5.6.7). */
  visitedRoles: 64,
  namespaces: 1024,
  secretsPerNamespace: 10_000,
  grantsPerSecret: 256,
  recipientsPerVersion: 64,
  revokedNumbers: 1024,
  pools: 256,
  /** Epochs of one pool that `fleet` lists: the current one, and older ones that a living version may name. */
  epochsPerPool: 64,
  custodians: 16,
  hosts: 20_000,
  poolsPerHost: 16,
  removals: 20_000,
  keyringBytes: 256 << 10,
  /** An answer to a nonce, a host's token, and one receipt. */
  echoBytes: 4 << 10,
  tokenBytes: 2048,
  receiptBytes: 64 << 10,
  /** One statement of a drill. */
  statementBytes: 8 << 10,
  /** A drill's signed report. */
  reportBytes: 256 << 10,
  /** Versions that one receipt names; the others are counted. */
  withdrawnPerReceipt: 64,
  inviteBytes: 4 << 10,
  joinBytes: 4 << 10,
  /** One wrapped key. */
  jweBytes: 2048,
  /** The longest lease and the longest overlap that metadata may ask for, in seconds. */
  leaseSeconds: 24 * 3600,
  overlapSeconds: 30 * 24 * 3600,
} as const;
