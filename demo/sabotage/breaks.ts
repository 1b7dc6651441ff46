// The ways in which the demo can be sabotaged, to show that its checks would notice. Each breaks one promise inside
// the real daemon and leaves everything else alone.

export const BREAKS = {
  'no-invalidate': 'the kernel is never told to forget pages: mappings survive a revocation',
  'log-plaintext': 'each decrypted value is written to a log, in base64',
  'no-identity': 'every caller counts as the workload web',
} as const;

export type Break = keyof typeof BREAKS;

export function isBreak(name: string): name is Break {
  return Object.hasOwn(BREAKS, name);
}
