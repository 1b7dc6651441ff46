// How long superseded versions live on. The overlap is signed as an end and as a length: the end is taken by the
// wall clock, the length by boot time from when this host first saw the version superseded; the earlier one counts.
import type { Clock } from '../client/clock.ts';
import type { TargetPath } from '../manifest/names.ts';
import { liveVersions } from '../manifest/realm/succession.ts';
import type { LiveVersion, Secret } from '../manifest/realm/secret.ts';

export class Overlaps {
  readonly #clock: Clock;
  readonly #bootEnds = new Map<TargetPath, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The versions of a secret that may be read now, newest first. */
  living(secret: Secret): readonly LiveVersion[] {
    const ended = new Set(
      secret.superseded
        .filter((old) => this.#hasEnded(old.path, old.overlapSeconds, old.overlapEnd))
        .map((old) => old.path),
    );
    return liveVersions(secret).filter((version) => !ended.has(version.path));
  }

  /** Forgets versions that nothing lists any more. */
  keep(listed: ReadonlySet<TargetPath>): void {
    for (const path of this.#bootEnds.keys()) if (!listed.has(path)) this.#bootEnds.delete(path);
  }

  #hasEnded(path: TargetPath, seconds: number, end: number): boolean {
    const bootEnd = this.#bootEnds.get(path) ?? this.#clock.boot() + seconds * 1000;
    this.#bootEnds.set(path, bootEnd);
    return this.#clock.now() >= end || this.#clock.boot() >= bootEnd;
  }
}
