// The daemon's configuration: one TOML file. An unknown key is an error, because a misspelt one would silently mean
// its default. Every key has a default, so there need be no file. Times are written `30s`, `5m`; sizes `8 MiB`.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import { isLapseError } from '../manifest/errors.ts';
import { parseWorkload } from '../manifest/names.ts';
import type { Workload } from '../manifest/names.ts';
import { DaemonError } from './errors.ts';

export interface Config {
  /** What `lapsed join` wrote, and verified metadata. */
  readonly state: string;
  /** The public mount point; its parent is what containers bind. */
  readonly mount: string;
  /** The control API's socket, in a directory of its own that only root may enter. */
  readonly control: string;
  readonly engine: 'kernel' | 'fuse-native';
  /** For an engine that cannot tell callers apart: the one workload whose view the whole mount is. */
  readonly workload?: Workload;
  /** Bytes of locked memory. */
  readonly arena: number;
  /** How many versions the vault holds at most. */
  readonly slots: number;
  /** How long plaintext lingers after the last close, in milliseconds. */
  readonly lingerMs: number;
  /** How long the server may give no sign of life before it counts as dead, in milliseconds. */
  readonly deadAfterMs: number;
  readonly drill: DrillConfig;
}

/** Whether and how this host takes part in drills, which its operator decides, not the realm's. */
export interface DrillConfig {
  /** `crash`: also in those that strike the server or its holder. */
  readonly consent: 'off' | 'on' | 'crash';
  /** Trials a day, by UTC. */
  readonly cap: number;
  /** The probe's program. */
  readonly probe: string;
  /** What the probe is started by, so that it runs in a container of the operator's choice. */
  readonly exec: readonly string[];
}

const DEFAULTS = {
  state: '/var/lib/lapsed',
  mount: '/run/lapse/fs',
  control: '/run/lapsed/control.sock',
  engine: 'kernel',
  arena: '6 MiB',
  slots: 1024,
  linger: '10s',
  dead_after: '1s',
  drill: 'off',
  drill_cap: 1000,
  drill_exec: [],
} as const;

/** Where `npm run setup` leaves it, else where a package does. */
const PROBES = [fileURLToPath(new URL('../out/bin/probe', import.meta.url)), '/usr/lib/lapse/probe'] as const;
const EXEC_WORDS = 64;

const DEAD_AFTER_MS = { least: 500, most: 60_000 } as const;
const ARENA = { least: 1 << 20, most: 1 << 30 } as const;

const KEYS = ['workload', 'drill_probe', ...Object.keys(DEFAULTS)];

/** @throws DaemonError config-unreadable, config-malformed */
export async function readConfig(path: string, { optional = false } = {}): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (optional && (cause as NodeJS.ErrnoException).code === 'ENOENT') return parseConfig('', path);
    throw new DaemonError('config-unreadable', `cannot read ${path}; see docs/operations/install.md`, {
      cause,
    });
  }
  return parseConfig(text, path);
}

/** `where` names the text in errors. */
export function parseConfig(text: string, where: string): Config {
  let raw: Record<string, unknown>;
  try {
    raw = { ...DEFAULTS, ...parse(text) };
  } catch (cause) {
    throw new DaemonError('config-malformed', `${where}: ${(cause as Error).message.split('\n')[0] ?? ''}`, {
      cause,
    });
  }
  const reader = new Reader(raw, where);
  reader.only(KEYS);
  const engine = reader.oneOf('engine', ['kernel', 'fuse-native'] as const);
  const workload = raw['workload'] === undefined ? undefined : reader.workload('workload');
  if ((engine === 'fuse-native') !== (workload !== undefined)) {
    throw reader.malformed(
      'workload',
      'is needed for engine "fuse-native", which cannot tell callers apart, only there',
    );
  }
  if (engine === 'fuse-native' && raw['drill'] !== DEFAULTS.drill)
    throw reader.malformed('drill', 'needs the engine "kernel", which can tell a probe from others');
  return {
    state: reader.path('state'),
    mount: reader.path('mount'),
    control: reader.path('control'),
    engine,
    ...(workload === undefined ? {} : { workload }),
    arena: reader.bytes('arena'),
    slots: reader.integer('slots', 1, 65_536),
    lingerMs: reader.milliseconds('linger'),
    deadAfterMs: reader.deadAfter('dead_after'),
    drill: {
      consent: reader.oneOf('drill', ['off', 'on', 'crash'] as const),
      cap: reader.integer('drill_cap', 1, 100_000),
      probe: raw['drill_probe'] === undefined ? installedProbe() : reader.path('drill_probe'),
      exec: reader.words('drill_exec'),
    },
  };
}

function installedProbe(): string {
  return PROBES.find((path) => existsSync(path)) ?? PROBES[1];
}

class Reader {
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(raw: Readonly<Record<string, unknown>>, where: string) {
    this.#raw = raw;
    this.#where = where;
  }

  malformed(key: string, rule: string): DaemonError {
    return new DaemonError('config-malformed', `${this.#where}: ${key} ${rule}`);
  }

  only(keys: readonly string[]): void {
    const unknown = Object.keys(this.#raw).find((key) => !keys.includes(key));
    if (unknown !== undefined) throw this.malformed(unknown, `is unknown; there are: ${keys.join(', ')}`);
  }

  string(key: string): string {
    const value = this.#raw[key];
    if (typeof value !== 'string' || value === '') throw this.malformed(key, 'must be a text');
    return value;
  }

  path(key: string): string {
    const path = this.string(key);
    if (!path.startsWith('/')) throw this.malformed(key, 'must be an absolute path');
    return path;
  }

  words(key: string): readonly string[] {
    const value = this.#raw[key];
    const isList = Array.isArray(value) && value.length <= EXEC_WORDS;
    if (!isList || !value.every((word) => typeof word === 'string' && /^[^\0]{1,4096}$/.test(word)))
      throw this.malformed(key, 'must be a list of words, like ["runc", "exec", "web-1"]');
    return value as readonly string[];
  }

  oneOf<T extends string>(key: string, values: readonly T[]): T {
    const value = values.find((candidate) => candidate === this.#raw[key]);
    if (value === undefined) throw this.malformed(key, `must be one of: ${values.join(', ')}`);
    return value;
  }

  workload(key: string): Workload {
    const text = this.string(key);
    try {
      return parseWorkload(text);
    } catch (cause) {
      if (!isLapseError(cause)) throw cause;
      throw this.malformed(key, `is ${cause.message}`);
    }
  }

  integer(key: string, least: number, most: number): number {
    const value = this.#raw[key];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
      throw this.malformed(key, `must be a number from ${least} to ${most}`);
    }
    return value;
  }

  bytes(key: string): number {
    const [, digits, unit] = /^(\d{1,6}) ?(KiB|MiB)$/.exec(this.string(key)) ?? [];
    if (digits === undefined) throw this.malformed(key, 'must be a size like "8 MiB"');
    const bytes = Number(digits) * (unit === 'MiB' ? 1 << 20 : 1 << 10);
    if (bytes < ARENA.least || bytes > ARENA.most)
      throw this.malformed(key, 'must be from 1 MiB to 1024 MiB');
    return bytes;
  }

  milliseconds(key: string): number {
    const [, digits, unit] = /^(\d{1,6})(ms|s|m)$/.exec(this.string(key)) ?? [];
    if (digits === undefined) throw this.malformed(key, 'must be a time like "10s"');
    return Number(digits) * ({ ms: 1, s: 1000, m: 60_000 }[unit ?? 'ms'] ?? 1);
  }

  /** Less than a few heartbeats would take a busy machine for a dead server. */
  deadAfter(key: string): number {
    const ms = this.milliseconds(key);
    if (ms < DEAD_AFTER_MS.least || ms > DEAD_AFTER_MS.most)
      throw this.malformed(key, 'must be from 500ms to 60s');
    return ms;
  }
}
