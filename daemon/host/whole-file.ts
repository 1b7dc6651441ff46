// A file in the state directory, replaced as a whole: a reader finds what stood there before, or what stands there now, also
// after the power went.
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** Resolves when it is on the disk. */
export async function writeWhole(directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = join(directory, name);
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(bytes);
    await file.sync();
  }
  await rename(`${path}.new`, path);
  await using under = await open(directory);
  await under.sync();
}
