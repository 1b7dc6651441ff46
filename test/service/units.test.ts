// The units for systemd: systemd itself finds nothing wrong with them, and the drill's passphrase reaches the command by a
// descriptor, as the unit says it does.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const UNITS = join(ROOT, 'systemd');

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'lapse-units-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** As it stands where it is installed, but for this clone in the place of /opt/lapse. */
function unit(name: string, programs = ROOT): string {
  return readFileSync(join(UNITS, name), 'utf8').replaceAll('/opt/lapse', programs);
}

test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd takes them as they are', () => {
  const path = directory();
  const names = readdirSync(UNITS);
  for (const name of names) writeFileSync(join(path, name), unit(name));
  const verify = ['verify', '--man=no', ...names.map((name) => join(path, name))];
  const { status, stdout, stderr } = spawnSync('/usr/bin/systemd-analyze', verify, { encoding: 'utf8' });
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
});

test('a drill gets its words, and the passphrase on descriptor 3', () => {
  const path = directory();
  writeFileSync(join(path, 'passphrase'), 'correct-horse\n');
  const program = `#!/bin/sh\nprintf '%s\\n' "$@"\ncat <&3\ntr '\\0' '\\n' < /proc/$$/environ\n`;
  spawnSync('mkdir', [join(path, 'bin')]);
  writeFileSync(join(path, 'bin/lapse'), program, { mode: 0o755 });
  const [, line = ''] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit('lapse-drill.service', path)) ?? [];
  const [, script = '', words = ''] = /^\/bin\/sh -c '([^']*)' lapse-drill ([^']*)$/s.exec(line) ?? [];
  // What systemd does with its own two signs.
  const shell = script.replaceAll('$$', '$').replaceAll('%d', path);
  const given = ['-c', shell, 'lapse-drill', ...words.replaceAll('\\\n', ' ').trim().split(/\s+/)];
  const { stdout } = spawnSync('/bin/sh', given, { encoding: 'utf8', env: { LAPSE_REALM: path } });
  const [said = '', environment, ...more] = stdout.split('correct-horse\n');
  expect(said.split('\n').slice(0, 4)).toEqual(['--passphrase-fd', '3', 'drill', 'revoke']);
  expect(environment).toContain(`LAPSE_REALM=${path}`);
  expect(more, 'the passphrase stands elsewhere, too').toEqual([]);
});
