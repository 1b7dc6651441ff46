// Tries everything that would make watchers of a directory hear something: prints each attempt and `done`, or why not.
// Told the directory and the name of a file in it. For a directory that can be written to, it must end up done each time.
import * as fs from 'node:fs';
import { join } from 'node:path';

const [directory = '', name = ''] = process.argv.slice(2);
const at = (other: string): string => join(directory, other);
const file = at(name);

const attempts: Readonly<Record<string, () => void>> = {
  write: () => fs.closeSync(fs.openSync(file, 'r+')),
  append: () => fs.closeSync(fs.openSync(file, 'a')),
  truncate: () => fs.truncateSync(file, 0),
  overwrite: () => fs.closeSync(fs.openSync(file, 'w')),
  utimes: () => fs.utimesSync(file, 1, 1),
  chmod: () => fs.chmodSync(file, 0o400),
  chown: () => fs.chownSync(file, 1, 1),
  create: () => fs.closeSync(fs.openSync(at('created'), 'wx')),
  symlink: () => fs.symlinkSync(name, at('symlinked')),
  link: () => fs.linkSync(file, at('linked')),
  mkdir: () => fs.mkdirSync(at('made')),
  rename: () => fs.renameSync(file, at('renamed')),
  'rename back': () => fs.renameSync(fs.existsSync(file) ? file : at('renamed'), at(`${name}.back`)),
  unlink: () => fs.unlinkSync(fs.existsSync(file) ? file : at(`${name}.back`)),
};

for (const [attempt, work] of Object.entries(attempts)) {
  try {
    work();
    process.stdout.write(`${attempt}: done\n`);
  } catch (error) {
    process.stdout.write(`${attempt}: ${(error as NodeJS.ErrnoException).code ?? String(error)}\n`);
  }
}
