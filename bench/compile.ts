// The two C programs of `bench -- read`, compiled into out/bin/ when they are older than their source.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];

/** The program that times readers; `timer.ts` runs it. */
export function compileTimer(): string {
  return compile('timer.c', 'timer', []);
}

/** The reference server. It needs Debian's libfuse3-dev and pkg-config. */
export function compileReference(): string {
  const library = execFileSync('pkg-config', ['--cflags', '--libs', 'fuse3'], { encoding: 'utf8' });
  return compile('reference/hello.c', 'fuse3-hello', library.trim().split(/\s+/));
}

function compile(source: string, name: string, library: readonly string[]): string {
  const from = fileURLToPath(new URL(source, import.meta.url));
  const directory = fileURLToPath(new URL('../out/bin/', import.meta.url));
  const program = `${directory}${name}`;
  mkdirSync(directory, { recursive: true });
  if (modified(program) <= modified(from))
    execFileSync('gcc', [...FLAGS, '-o', program, from, ...library], { stdio: 'inherit' });
  return program;
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
