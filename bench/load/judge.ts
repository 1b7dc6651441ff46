// Whether an attempt may have ended as it did, by what is known of the world while it lasted. The whole table of what
// readers may see: bytes that are whole, of a version that lives, in a place that is granted; otherwise EACCES or ENOENT,
// and SIGBUS for a mapping; a name that is there is never absent; without a disturbance, nothing that is there fails.
import type { Attempt, Way } from './attempts.ts';
import type { Place, Version, Workload, World } from './world.ts';

const MOST_NS = 5e9;

const REFUSALS: Readonly<Record<Way, readonly string[]>> = {
  self: ['EACCES', 'ENOENT'],
  view: ['EACCES', 'ENOENT'],
  volume: ['EACCES', 'ENOENT'],
  held: ['EACCES'],
  mapped: ['SIGBUS'],
  sent: ['EACCES'],
  stat: ['EACCES', 'ENOENT'],
  fstat: ['EACCES'],
  xattr: ['EACCES', 'ENOENT'],
  list: ['EACCES', 'ENOENT'],
  'list-volume': ['EACCES', 'ENOENT'],
  'list-views': ['EACCES'],
  foreign: ['EACCES', 'ENOENT'],
  write: ['EROFS', 'EACCES', 'ENOENT'],
};

/** What is wrong with it, if anything is. */
export function judge(world: World, workload: Workload, attempt: Attempt): string | undefined {
  const { way, start, end, result } = attempt;
  if (end - start > MOST_NS) return `took ${((end - start) / 1e9).toFixed(1)} s`;
  if (result !== 'ok')
    return REFUSALS[way].includes(result) ? refused(world, workload, attempt) : `failed with ${result}`;
  switch (way) {
    case 'foreign':
    case 'write':
      return 'succeeded';
    case 'list-views':
      return attempt.listed > 1 ? "another workload's view is listed" : undefined;
    case 'list':
    case 'list-volume':
      return listed(world, workload, attempt);
    default:
      return succeeded(world, workload, attempt);
  }
}

function succeeded(world: World, workload: Workload, attempt: Attempt): string | undefined {
  const { way, start, end } = attempt;
  const secret = world.secrets[attempt.secret]!;
  const isNo = (fact: { throughout(start: number, end: number): string }): boolean =>
    fact.throughout(start, end) === 'no';
  const isByName = way === 'self' || way === 'view' || way === 'volume' || way === 'stat' || way === 'xattr';
  const fits = (version: Version): boolean => !isNo(version.lives) && !(isByName && isNo(version.named));
  if (isNo(workload.registered) && way !== 'fstat') return 'succeeded for a workload that is not registered';
  if (isNo(workload.places[secret.index]!.granted)) return 'succeeded though the grant was withdrawn';
  if (way === 'stat') {
    const sizes = [...secret.versions.values()].filter(fits).map(({ size }) => size);
    return sizes.includes(attempt.size)
      ? undefined
      : `${attempt.size} is the size of no version that is named`;
  }
  const version = secret.versions.get(attempt.version);
  if (!version) return `version ${attempt.version} was never published`;
  if (way !== 'xattr' && attempt.size !== version.size)
    return `${attempt.size} bytes of version ${version.version}, which has ${version.size}`;
  if (isNo(version.lives)) return `version ${version.version} was taken back before`;
  return fits(version) ? undefined : `version ${version.version} was replaced before`;
}

/** Who was refused what it may have. */
function refused(world: World, workload: Workload, attempt: Attempt): string | undefined {
  const { way, start, end, result } = attempt;
  const place = workload.places[attempt.secret]!;
  const isServing = world.serving.throughout(start, end) === 'yes';
  const isThere = place.seen.throughout(start, end) === 'yes';
  switch (way) {
    case 'foreign':
    case 'list-views':
      return undefined;
    case 'write':
      return isThere && isServing && result !== 'EROFS' ? `failed with ${result}` : undefined;
    case 'list':
    case 'list-volume': {
      const isAnyThere = workload.places.some(({ seen }) => seen.throughout(start, end) === 'yes');
      return isAnyThere && (isServing || result === 'ENOENT') ? `failed with ${result}` : undefined;
    }
    case 'held':
    case 'mapped':
    case 'sent':
    case 'fstat': {
      const lives = world.secrets[attempt.secret]!.versions.get(attempt.version)?.lives;
      const isAlive = lives?.throughout(start, end) === 'yes';
      return isAlive && isThere && isServing ? `failed with ${result}` : undefined;
    }
    default:
      return isThere && (isServing || result === 'ENOENT') ? `failed with ${result}` : undefined;
  }
}

function listed(world: World, workload: Workload, attempt: Attempt): string | undefined {
  const { start, end } = attempt;
  const has = (index: number): boolean => ((attempt.listed >>> index) & 1) === 1;
  const isGone = ({ granted }: Place, index: number): boolean =>
    [granted, workload.registered, world.secrets[index]!.exists].some(
      (fact) => fact.throughout(start, end) === 'no',
    );
  for (const [i, place] of workload.places.entries()) {
    const { name } = world.secrets[i]!;
    if (has(i) && isGone(place, i)) return `${name} is listed, and gone`;
    if (!has(i) && place.seen.throughout(start, end) === 'yes') return `${name} is not listed, and there`;
  }
  return undefined;
}
