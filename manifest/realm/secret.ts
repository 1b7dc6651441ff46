// A namespace role read as secrets. A target is `NAMESPACE/NAME@VERSION`; its `custom` block says what it is:
//
//   newest version  {version, grants, timing: {overlap: {seconds}, whenStale?}, revokedThrough, revoked, keys?}
//   superseded one  {version, timing: {overlap: {seconds, end}}, keys}
//
// The newest stays listed for ever, live or as a tombstone without `keys`; an older one while its overlap runs.
// A namespace in which one secret is malformed is refused whole: guessing would hide a revocation.
import { ManifestError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseSecretReference } from '../names.ts';
import type { Namespace, SecretName, TargetPath, Workload } from '../names.ts';
import { array, instant, integer, object } from '../shape.ts';
import { sha256Of } from '../tuf/targets.ts';
import type { TargetFile, Targets } from '../tuf/targets.ts';
import { parseGrants } from './grant.ts';
import type { Grant } from './grant.ts';
import { readWrappedKey } from './jwe.ts';
import type { WrappedKey } from './jwe.ts';
import { readWhenStale } from './policy.ts';
import type { WhenStale } from './policy.ts';
import { isRevoked } from './revocation.ts';
import type { Floor } from './revocation.ts';

/** A version that can be read: its envelope and the wrapped data keys. */
export interface LiveVersion {
  readonly version: number;
  readonly path: TargetPath;
  readonly length: number;
  readonly sha256: string;
  readonly keys: readonly WrappedKey[];
}

export interface SupersededVersion extends LiveVersion {
  /** The overlap is signed as a length and as an end; a host takes whichever comes first by its clocks. */
  readonly overlapSeconds: number;
  /** Milliseconds since the epoch. */
  readonly overlapEnd: number;
}

export interface Secret extends Floor {
  readonly namespace: Namespace;
  readonly name: SecretName;
  readonly newestVersion: number;
  /** Absent: a tombstone. */
  readonly newest?: LiveVersion;
  /** Descending. */
  readonly superseded: readonly SupersededVersion[];
  readonly grants: readonly Grant[];
  /** How long, in seconds, this version lives on after the next one replaces it. */
  readonly overlapSeconds: number;
  /** What the secret asks for when the lease is over; the namespace's policy may not allow it. */
  readonly whenStale: WhenStale;
  /** By workload: the version up to which a revoker took its access back. */
  readonly withheld: ReadonlyMap<Workload, number>;
}

const NOTHING_WITHHELD: ReadonlyMap<Workload, number> = new Map();

interface Target {
  readonly version: number;
  readonly path: TargetPath;
  readonly file: TargetFile;
  readonly custom: JsonObject;
}

/** Which of the workloads that are granted a secret may read one version of it. */
export function readers(secret: Secret, version: number): readonly Grant[] {
  return secret.grants.filter(({ workload }) => version > (secret.withheld.get(workload) ?? 0));
}

/** @throws ManifestError secret-malformed, path-outside-role and the readers' codes */
export function readSecrets(role: Targets, namespace: Namespace): ReadonlyMap<SecretName, Secret> {
  const byName = Map.groupBy(
    [...role.targets].map(([path, file]) => readTarget(path, file, namespace)),
    (target) => target.name,
  );
  if (byName.size > LIMITS.secretsPerNamespace) {
    throw new ManifestError(
      'secret-malformed',
      `${namespace}: more than ${LIMITS.secretsPerNamespace} secrets`,
    );
  }
  return new Map([...byName].map(([name, targets]) => [name, readSecret(namespace, name, targets)]));
}

function readTarget(path: string, file: TargetFile, namespace: Namespace): Target & { name: SecretName } {
  const { namespace: owner, name, version } = parseSecretReference(path);
  if (owner !== namespace || version === undefined) {
    throw new ManifestError(
      'path-outside-role',
      `${namespace} may list ${namespace}/NAME@VERSION and nothing else`,
    );
  }
  const custom = object(file.custom, `${path}.custom`);
  if (integer(custom['version'], `${path}.custom.version`) !== version)
    throw bad(path as TargetPath, 'two versions');
  return { name, version, path: path as TargetPath, file, custom };
}

function readSecret(namespace: Namespace, name: SecretName, targets: readonly Target[]): Secret {
  const [newest, ...older] = targets.toSorted((a, b) => b.version - a.version) as [Target, ...Target[]];
  const { custom, path, version } = newest;
  const floor = readFloor(custom, path, version);
  const live = custom['keys'] === undefined ? undefined : readLive(newest);
  if ((live === undefined) !== isRevoked(floor, version))
    throw bad(path, 'keys and revocation contradict each other');
  return {
    namespace,
    name,
    newestVersion: version,
    ...(live ? { newest: live } : {}),
    superseded: older.map((target) => readSuperseded(target, floor)),
    grants: parseGrants(custom['grants'], `${path}.grants`),
    overlapSeconds: readOverlap(custom, path).seconds,
    whenStale: readStale(custom, path),
    withheld: NOTHING_WITHHELD,
    ...floor,
  };
}

function readFloor(custom: JsonObject, path: TargetPath, newest: number): Floor {
  const revokedThrough = integer(custom['revokedThrough'], `${path}.revokedThrough`, 0, newest);
  const revoked = array(custom['revoked'], `${path}.revoked`, LIMITS.revokedNumbers).map((number) =>
    integer(number, `${path}.revoked`, revokedThrough + 1, newest),
  );
  if (revoked.some((number, i) => i > 0 && number <= (revoked[i - 1] as number))) {
    throw bad(path, 'revoked is not ascending');
  }
  return { revokedThrough, revoked };
}

function readLive({ version, path, file, custom }: Target): LiveVersion {
  const keys = array(custom['keys'], `${path}.keys`, LIMITS.recipientsPerVersion).map((value) =>
    readWrappedKey(value, `${path}.keys`),
  );
  if (keys.length === 0) throw bad(path, 'nobody can read it');
  return { version, path, length: file.length, sha256: sha256Of(file, path), keys };
}

function readSuperseded(target: Target, floor: Floor): SupersededVersion {
  if (isRevoked(floor, target.version)) throw bad(target.path, 'a revoked version is still listed');
  const { seconds, end } = readOverlap(target.custom, target.path);
  if (end === undefined) throw bad(target.path, 'its overlap has no end');
  return { ...readLive(target), overlapSeconds: seconds, overlapEnd: end };
}

function readStale(custom: JsonObject, path: TargetPath): WhenStale {
  const asked = object(custom['timing'], `${path}.timing`)['whenStale'];
  return asked === undefined ? 'deny' : readWhenStale(asked, `${path}.timing.whenStale`);
}

function readOverlap(custom: JsonObject, path: TargetPath): { seconds: number; end?: number } {
  const overlap = object(object(custom['timing'], `${path}.timing`)['overlap'], `${path}.timing.overlap`);
  const seconds = integer(overlap['seconds'], `${path}.timing.overlap.seconds`, 0, LIMITS.overlapSeconds);
  if (overlap['end'] === undefined) return { seconds };
  return { seconds, end: instant(overlap['end'], `${path}.timing.overlap.end`) };
}

function bad(path: TargetPath, why: string): ManifestError {
  return new ManifestError('secret-malformed', `${path}: ${why}`);
}
