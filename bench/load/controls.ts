// The checks, checked: what really happened, told a little differently, must be found wrong every time. An attempt that
// succeeded is judged again in a world in which that value had been taken back; one that failed, or came late, is made
// up from one that did not. Files with other bytes are put before the reader itself.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resultName } from './attempts.ts';
import type { Attempt } from './attempts.ts';
import { growth } from './health.ts';
import type { Measure } from './health.ts';
import { judge } from './judge.ts';
import { World, sizeOf } from './world.ts';
import type { Place, Version } from './world.ts';

export interface Planted {
  readonly name: string;
  readonly noticed: boolean;
}

/** `seen` has one of every way: one that succeeded, or was refused where nothing else is allowed. */
export function plantedAttempts(seen: readonly Attempt[]): readonly Planted[] {
  return seen.flatMap((attempt) => {
    const plant: Plant = (name, changed, alter) => {
      const world = worldOf(attempt);
      alter?.(world);
      const verdict = judge(world, world.workloads[0]!, { ...attempt, ...changed });
      return { name: `${attempt.way}: ${name}`, noticed: verdict !== undefined };
    };
    const untouched = plant('as it was', {});
    return [
      { ...untouched, noticed: !untouched.noticed },
      plant('EIO', { result: 'EIO' }),
      plant('ENOTCONN', { result: 'ENOTCONN' }),
      plant('late', { end: attempt.start + 6e9 }),
      ...plantsFor(attempt, plant),
    ];
  });
}

type Plant = (name: string, changed: Partial<Attempt>, alter?: (world: World) => void) => Planted;

function plantsFor({ way, secret, version }: Attempt, plant: Plant): readonly Planted[] {
  const refused = [plant('EACCES', { result: 'EACCES' }), plant('ENOENT', { result: 'ENOENT' })];
  const ungranted = plant('not granted', {}, (world) => placeOf(world, secret).granted.set('no', 1));
  switch (way) {
    case 'foreign':
    case 'write':
      return [plant('ok', { result: 'ok' })];
    case 'list-views':
      return [plant('two views', { listed: 3 })];
    case 'list':
    case 'list-volume':
      return [...refused, ungranted, plant('missing', { listed: 0 })];
    case 'stat':
      return [...refused, ungranted, plant('another size', { size: 1 })];
    case 'fstat':
      return [plant('EACCES', { result: 'EACCES' }), ungranted, plant('another size', { size: 1 })];
    default:
      return [
        ...(way === 'mapped' ? [plant('SIGBUS', { result: 'SIGBUS' })] : refused),
        ungranted,
        plant('mixed', { result: 'MIXED' }),
        plant('never published', { version: version + 1 }),
        plant('taken back', {}, (world) => versionOf(world, secret, version).lives.set('no', 1)),
        plant('not registered', {}, (world) => world.workloads[0]!.registered.set('no', 1)),
      ];
  }
}

function placeOf(world: World, secret: number): Place {
  return world.workloads[0]!.places[secret]!;
}

function versionOf(world: World, secret: number, version: number): Version {
  return world.secrets[secret]!.versions.get(version)!;
}

/** A quiet world in which the attempt is right. */
function worldOf({ way, secret, version, size }: Attempt): World {
  const world = new World(Array<number>(secret + 1).fill(60), ['one']);
  world.serving.set('yes', 0);
  let meant = Math.max(1, version);
  if (way.startsWith('list')) meant = 1;
  while (way === 'stat' && sizeOf(secret, meant) !== size) meant += 1;
  for (const each of world.secrets) {
    each.newest = (each.index === secret ? meant : 1) - 1;
    world.shown(each, world.putBegins(each, 0), 0);
    placeOf(world, each.index).seen.set('yes', 0);
  }
  return world;
}

/** Runs the reader on files that are not what they should be. */
export function plantedFiles(program: string, directory: string): readonly Planted[] {
  const marker = 'a-marker';
  const value = (size: number): string =>
    `${marker}.007.000003.${String(size).padStart(6, '0')}.`.repeat(40).slice(0, size);
  const [whole, size] = [value(800), 800];
  const files: Readonly<Record<string, string>> = {
    ok: whole,
    MIXED: whole.slice(0, 400).padEnd(size, 'x'),
    'OTHER-LENGTH': whole.slice(0, 700),
    MALFORMED: `x${whole.slice(1)}`,
    'OTHER-SECRET': whole.replaceAll('.007.', '.008.'),
  };
  mkdirSync(directory, { recursive: true });
  return Object.entries(files).map(([expected, text]) => {
    const path = join(directory, expected);
    writeFileSync(path, text);
    const said = execFileSync(program, ['check', marker, '7', path], { encoding: 'utf8' });
    return { name: `a file: ${expected}`, noticed: resultName(Number(said)) === expected };
  });
}

export function plantedLeaks(): readonly Planted[] {
  const series = (step: Partial<Measure>): readonly Measure[] =>
    Array.from({ length: 200 }, (_, i) => ({
      rssMiB: 200 + i * (step.rssMiB ?? 0),
      descriptors: 30 + i * (step.descriptors ?? 0),
    }));
  const noticed = (step: Partial<Measure>): boolean =>
    growth('plant', series(step), 1000).problems.length > 0;
  return [
    { name: 'no leak', noticed: !noticed({}) },
    { name: 'a leak of memory', noticed: noticed({ rssMiB: 1 }) },
    { name: 'a leak of descriptors', noticed: noticed({ descriptors: 1 }) },
  ];
}
