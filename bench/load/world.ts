// What is known of the realm and its host at any time: which versions live, who may read what, who is registered, whether
// the server serves. Whoever changes something says so before it begins and when it is known to be in effect. Readers add
// what they have seen: a name that was there once stays until somebody begins to take it away.
import { Certainty } from './certainty.ts';

/** Overlaps are counted from a signed time, in whole seconds. */
const EARLY_NS = 1.2e9;
const SIZES = { least: 64, range: 9000, large: 70_000 } as const;

/** Every version has another length, for those ways that tell nothing but that; some take several requests. */
export function sizeOf(secret: number, version: number): number {
  const size = SIZES.least + ((secret * 701 + version * 37) % SIZES.range);
  return secret % 5 === 4 ? size + SIZES.large - SIZES.range : size;
}

/** What reader.c expects. */
export function valueOf(marker: string, secret: number, version: number): string {
  const size = sizeOf(secret, version);
  const digits = (value: number, count: number): string => String(value).padStart(count, '0');
  const text = `${marker}.${digits(secret, 3)}.${digits(version, 6)}.${digits(size, 6)}.`;
  return text.repeat(Math.ceil(size / text.length)).slice(0, size);
}

export class Version {
  readonly version: number;
  readonly size: number;
  /** Its bytes may be had. */
  readonly lives = new Certainty('no');
  /** The name leads to it. */
  readonly named = new Certainty('no');

  constructor(secret: number, version: number) {
    this.version = version;
    this.size = sizeOf(secret, version);
  }
}

export class Secret {
  readonly index: number;
  readonly name: string;
  readonly overlapSeconds: number;
  /** Some version bears the name. */
  readonly exists = new Certainty('no');
  readonly versions = new Map<number, Version>();
  newest = 0;
  /** Somebody changes it. */
  busy = false;

  constructor(index: number, overlapSeconds: number) {
    this.index = index;
    this.name = `s${String(index).padStart(3, '0')}`;
    this.overlapSeconds = overlapSeconds;
  }

  pathOf(version: number): string {
    return `payments/${this.name}@${version}`;
  }
}

/** A secret in a workload's view. */
export class Place {
  readonly granted = new Certainty('yes');
  /** A reader has found it, and nobody took anything away since. */
  readonly seen = new Certainty('maybe');
  /** How many have taken away and not given back. */
  #away = 1;
  #since = Infinity;

  leave(at: number): void {
    this.#away += 1;
    this.#since = Infinity;
    this.seen.set('maybe', at);
  }

  come(at: number): void {
    this.#away -= 1;
    if (this.#away === 0) this.#since = at;
  }

  found(start: number, end: number): void {
    if (start >= this.#since && this.seen.last !== 'yes') this.seen.set('yes', end);
  }
}

export class Workload {
  readonly name: string;
  readonly registered = new Certainty('yes');
  readonly places: readonly Place[];
  busy = false;

  constructor(name: string, secrets: readonly Secret[]) {
    this.name = name;
    this.places = secrets.map(() => new Place());
  }
}

export class World {
  readonly secrets: readonly Secret[];
  readonly workloads: readonly Workload[];
  /** Under a lease, with everything loaded, and not disturbed. */
  readonly serving = new Certainty('maybe');
  /** What was done, and when it was in effect, for whoever has to find out how a violation came about. */
  readonly events: string[] = [];
  /** Beginnings of what is not known to be in effect: attempts after these cannot be judged yet. */
  readonly #open = new Set<{ readonly at: number }>();

  constructor(overlaps: readonly number[], workloads: readonly string[]) {
    this.secrets = overlaps.map((seconds, i) => new Secret(i, seconds));
    this.workloads = workloads.map((name) => new Workload(name, this.secrets));
  }

  tell(at: number, event: string): void {
    this.events.push(`${(at / 1e9).toFixed(3)} s: ${event}`);
  }

  /** Until when everything is known. */
  horizon(at: number): number {
    return Math.min(at, ...[...this.#open].map((open) => open.at));
  }

  /** Something begins; call what is returned when it is known how it went. */
  opens(at: number): () => void {
    const open = { at };
    this.#open.add(open);
    return () => this.#open.delete(open);
  }

  /** Versions that a server which serves must have. */
  expected(at: number): readonly string[] {
    return this.secrets.flatMap((secret) =>
      [...secret.versions.values()]
        .filter(({ lives }) => lives.throughout(at, at) === 'yes')
        .map(({ version }) => secret.pathOf(version)),
    );
  }

  /** The next version is about to be published. */
  putBegins(secret: Secret, at: number): Version {
    const before = secret.versions.get(secret.newest);
    secret.newest += 1;
    this.tell(at, `${secret.pathOf(secret.newest)} begins`);
    const version = new Version(secret.index, secret.newest);
    secret.versions.set(secret.newest, version);
    version.lives.set('maybe', at);
    version.named.set('maybe', at);
    if (secret.exists.last === 'no') {
      secret.exists.set('maybe', at);
      for (const { places } of this.workloads) places[secret.index]!.come(at);
    } else {
      before?.named.set('maybe', at);
      before?.lives.set('maybe', at + secret.overlapSeconds * 1e9 - EARLY_NS);
    }
    return version;
  }

  /** It was not published, so the next one gets its number. */
  putFailed(secret: Secret, { version }: Version): void {
    secret.versions.delete(version);
    secret.newest = version - 1;
  }

  /** The newest version is in effect. */
  shown(secret: Secret, version: Version, at: number): void {
    this.tell(at, `${secret.pathOf(version.version)} is shown`);
    secret.exists.set('yes', at);
    version.lives.set('yes', at);
    version.named.set('yes', at);
    for (const old of secret.versions.values())
      if (old.version < version.version && old.named.last !== 'no') old.named.set('no', at);
  }

  revokeBegins(secret: Secret, at: number): void {
    this.tell(at, `revoking ${secret.pathOf(secret.newest)} begins`);
    secret.exists.set('maybe', at);
    for (const { places } of this.workloads) places[secret.index]!.leave(at);
    for (const version of living(secret)) {
      version.lives.set('maybe', at);
      version.named.set('maybe', at);
    }
  }

  revoked(secret: Secret, at: number): void {
    this.tell(at, `${secret.pathOf(secret.newest)} is revoked`);
    secret.exists.set('no', at);
    for (const version of living(secret)) this.gone(version, at);
  }

  gone(version: Version, at: number): void {
    version.lives.set('no', at);
    version.named.set('no', at);
  }

  forget(before: number): void {
    this.serving.forget(before);
    for (const { exists, versions } of this.secrets) {
      exists.forget(before);
      for (const version of versions.values())
        [version.lives, version.named].forEach((fact) => fact.forget(before));
    }
    for (const { registered, places } of this.workloads) {
      registered.forget(before);
      for (const { granted, seen } of places) [granted, seen].forEach((fact) => fact.forget(before));
    }
  }
}

function living(secret: Secret): readonly Version[] {
  return [...secret.versions.values()].filter((version) => version.lives.last !== 'no');
}
