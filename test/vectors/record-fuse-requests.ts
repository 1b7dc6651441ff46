// Writes fuse-requests.json beside it: `node test/vectors/record-fuse-requests.ts`, as root on a quiet machine. The kernel's
// own requests, while the table of behaviours (test/mount/posix.ts) runs against a real mount: some of each operation and
// length. Every run brings other numbers (process ids, request ids), and none that matters.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPCODE } from '../../fuse/wire.ts';
import { ROWS } from '../mount/posix.ts';
import { PosixMount, until } from '../support/fuse-posix-mount.ts';
import { compileProbe } from '../support/fuse-posix-probe.ts';

/** Of each operation. */
const MOST = 8;
const MOST_BYTES = 700;
const directory = mkdtempSync(join(tmpdir(), 'lapse-record-'));
const record = join(directory, 'requests');
process.env['LAPSE_RECORD_REQUESTS'] = record;

try {
  await using mount = await PosixMount.start({ engine: 'kernel', probe: compileProbe(directory) });
  for (const row of ROWS) {
    if (row.ends) continue;
    await row.run(mount).catch((error: unknown) => process.stderr.write(`${row.name}: ${String(error)}\n`));
    await mount.tidy();
  }
  // Makes the kernel forget what nobody uses, and say so.
  writeFileSync('/proc/sys/vm/drop_caches', '2');
  for (const place of mount.places.toReversed()) execFileSync('umount', ['-i', '-c', '-l', '--', place]);
  await until(() => existsSync(record));
  const short = readFileSync(record, 'utf8').split('\n').filter((hex) => hex.length <= 2 * MOST_BYTES);
  const kinds = [...Map.groupBy(short, operation)].sort(([a], [b]) => a - b);
  const lines = kinds.flatMap(([number, messages]) =>
    messages.slice(0, MOST).map((message) => `    ${JSON.stringify({ operation: nameOf(number), message })}`),
  );
  const about = 'Requests of Linux 6.18, as they were read from /dev/fuse, in hex: some of each operation and length.';
  const text = `{\n  "about": ${JSON.stringify(about)},\n  "requests": [\n${lines.join(',\n')}\n  ]\n}\n`;
  writeFileSync(join(import.meta.dirname, 'fuse-requests.json'), text);
} finally {
  rmSync(directory, { recursive: true });
}

function operation(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE(4);
}

function nameOf(number: number): string {
  return Object.entries(OPCODE).find(([, one]) => one === number)?.[0] ?? String(number);
}
