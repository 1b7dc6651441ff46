// Taking back: a floor that never sinks ("every version up to here is dead") plus single dead versions.

export interface Floor {
  /** Every version up to and including this one is revoked; 0 for none. */
  readonly revokedThrough: number;
  /** Single revoked versions above the floor, ascending. */
  readonly revoked: readonly number[];
}

export function isRevoked(floor: Floor, version: number): boolean {
  return version <= floor.revokedThrough || floor.revoked.includes(version);
}

/** Whether `next` takes back everything that `old` took back. */
export function covers(next: Floor, old: Floor): boolean {
  return (
    next.revokedThrough >= old.revokedThrough && old.revoked.every((version) => isRevoked(next, version))
  );
}

export function raiseFloor(floor: Floor, through: number): Floor {
  const revokedThrough = Math.max(floor.revokedThrough, through);
  return { revokedThrough, revoked: floor.revoked.filter((version) => version > revokedThrough) };
}

/** Whatever one of two takes back. */
export function joinFloors(a: Floor, b: Floor): Floor {
  const revokedThrough = Math.max(a.revokedThrough, b.revokedThrough);
  const revoked = [...new Set([...a.revoked, ...b.revoked])].filter((version) => version > revokedThrough);
  return { revokedThrough, revoked: revoked.sort((x, y) => x - y) };
}
