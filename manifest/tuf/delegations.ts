// Whom a targets role trusts with which paths (TUF 1.0.34 §4.5, and TAP 15 for succinct hash bins), and the order in
// which roles are asked for a path (§5.6.7). Pure: who searches brings up the roles and shows them.
import { createHash } from 'node:crypto';
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, boolean, integer, object, string } from '../shape.ts';
import { parseKeys, parseRoleKeys, sameKeys } from './keys.ts';
import type { KeyId, RoleKeys } from './keys.ts';
import type { PublicKey } from './public-key.ts';
import { TOP_LEVEL_ROLES } from './root.ts';

export interface Delegation extends RoleKeys {
  readonly name: string;
  /** Glob patterns; empty where hash prefixes decide. */
  readonly paths: readonly string[];
  /** Of the sha256 of a path, in hexadecimal; empty where patterns decide. */
  readonly hashPrefixes: readonly string[];
  readonly terminating: boolean;
}

/** 2^bits roles named `PREFIX-BIN`, all with the same keys; each path belongs to one of them, and there it ends. */
export interface SuccinctRoles extends RoleKeys {
  readonly bits: number;
  readonly prefix: string;
}

export interface Delegations {
  /** In order of appearance, which is the order of precedence. */
  readonly delegations: ReadonlyMap<string, Delegation>;
  /** Only where `delegations` is empty. */
  readonly succinct?: SuccinctRoles;
}

type Keys = ReadonlyMap<KeyId, PublicKey>;

const WHERE = 'targets.delegations';

export function parseDelegations(value: Json | undefined): Delegations {
  if (value === undefined) return { delegations: new Map() };
  const raw = object(value, WHERE);
  const keys = parseKeys(raw['keys'], `${WHERE}.keys`);
  const { roles, succinct_roles: succinct } = raw;
  if ((roles === undefined) === (succinct === undefined))
    throw malformed('roles or succinct_roles is needed');
  if (succinct !== undefined) return { delegations: new Map(), succinct: parseSuccinct(succinct, keys) };
  const delegations = new Map<string, Delegation>();
  for (const role of array(roles, `${WHERE}.roles`, LIMITS.delegations)) {
    const delegation = parseDelegation(object(role, `${WHERE}.roles`), keys);
    if (delegations.has(delegation.name)) throw malformed(`the role ${delegation.name} stands twice`);
    delegations.set(delegation.name, delegation);
  }
  return { delegations };
}

function parseDelegation(role: JsonObject, keys: Keys): Delegation {
  const name = string(role['name'], `${WHERE}.roles.name`);
  if (name === '' || isTopLevel(name)) {
    throw new ManifestError('name-invalid', `${WHERE}: '${name}' cannot be the name of a delegated role`);
  }
  const where = `${WHERE}.${name}`;
  const { paths, path_hash_prefixes: prefixes } = role;
  if ((paths === undefined) === (prefixes === undefined)) {
    throw malformed(`${name}: paths or path_hash_prefixes is needed`);
  }
  const texts = (list: Json | undefined): readonly string[] =>
    list === undefined ? [] : array(list, where, LIMITS.delegationPaths).map((text) => string(text, where));
  return {
    name,
    ...parseRoleKeys(role, keys, where),
    paths: texts(paths),
    hashPrefixes: texts(prefixes).map((prefix) => hashPrefix(prefix, where)),
    terminating: boolean(role['terminating'], `${where}.terminating`),
  };
}

function parseSuccinct(value: Json, keys: Keys): SuccinctRoles {
  const where = `${WHERE}.succinct_roles`;
  const raw = object(value, where);
  const prefix = string(raw['name_prefix'], `${where}.name_prefix`);
  if (prefix === '') throw malformed('succinct_roles: a name_prefix is needed');
  const bits = integer(raw['bit_length'], `${where}.bit_length`, 1, 32);
  return { ...parseRoleKeys(raw, keys, where), bits, prefix };
}

function hashPrefix(text: string, where: string): string {
  if (/^[0-9a-f]{1,64}$/.test(text)) return text;
  throw new ManifestError('metadata-malformed', `${where}: a prefix of a sha256 in hexadecimal expected`);
}

/** What a role says of another that it delegates to, whichever way; absent when it does not. */
export function delegatedKeys({ delegations, succinct }: Delegations, name: string): RoleKeys | undefined {
  return succinct && isBin(succinct, name) ? succinct : delegations.get(name);
}

/** Whether a role is delegated to before and after, with the same keys. */
export function isStillDelegated(before: Delegations, after: Delegations, name: string): boolean {
  const [old, now] = [delegatedKeys(before, name), delegatedKeys(after, name)];
  return old !== undefined && now !== undefined && (old === now || sameKeys(old, now));
}

/** One role to ask, and who delegates to it. */
export interface Visit {
  readonly name: string;
  readonly delegator: string;
}

/**
 * A search for one path, pre-order and depth-first from `targets` (§5.6.7): take the `next` role, bring it up to date, and
 * show what it delegates with `ask`, until it lists the path or `next` has no more. No role is asked twice.
 */
export class Search {
  readonly #path: Path;
  readonly #visited = new Set<string>();
  /** The next one last. */
  #waiting: Visit[] = [{ name: 'targets', delegator: 'root' }];

  constructor(path: string) {
    this.#path = pathOf(path);
  }

  /** @throws ManifestError search-too-long */
  next(): Visit | undefined {
    let visit = this.#waiting.pop();
    while (visit && this.#visited.has(visit.name)) visit = this.#waiting.pop();
    if (visit && this.#visited.size === LIMITS.visitedRoles) {
      throw new ManifestError(
        'search-too-long',
        `a target is looked for in ${LIMITS.visitedRoles} roles at most`,
      );
    }
    if (visit) this.#visited.add(visit.name);
    return visit;
  }

  /** Puts what `role` delegates the path to before all that waits; a terminating delegation ends everything after it. */
  ask(role: Delegations, delegator: string): void {
    const { names, terminating } = delegatesOf(role, this.#path);
    if (terminating) this.#waiting = [];
    this.#waiting.push(...names.map((name) => ({ name, delegator })).reverse());
  }
}

/** In code points, as `?` counts them. */
type Segment = readonly string[];

interface Path {
  readonly segments: readonly Segment[];
  /** sha256 of the path, in hexadecimal. */
  readonly hash: string;
}

function pathOf(text: string): Path {
  return { segments: segmentsOf(text), hash: createHash('sha256').update(text).digest('hex') };
}

function segmentsOf(text: string): readonly Segment[] {
  return text.split('/').map((segment) => Array.from(segment));
}

/** The roles to ask for a path, in order, up to the first that is terminating. */
function delegatesOf(
  { delegations, succinct }: Delegations,
  path: Path,
): { names: string[]; terminating: boolean } {
  if (succinct) return { names: [binOf(succinct, path)], terminating: true };
  const names: string[] = [];
  for (const delegation of delegations.values()) {
    if (!owns(delegation, path)) continue;
    names.push(delegation.name);
    if (delegation.terminating) return { names, terminating: true };
  }
  return { names, terminating: false };
}

function owns({ paths, hashPrefixes }: Delegation, { segments, hash }: Path): boolean {
  return (
    paths.some((pattern) => matches(segmentsOf(pattern), segments)) ||
    hashPrefixes.some((prefix) => hash.startsWith(prefix))
  );
}

/** §4.5: `*` and `?` match within one segment of a path; nothing else is special. */
function matches(pattern: readonly Segment[], path: readonly Segment[]): boolean {
  return pattern.length === path.length && pattern.every((glob, i) => matchesSegment(glob, path[i] ?? []));
}

/** Goes back only to the last `*`, so that no pattern takes longer than the product of both lengths. */
function matchesSegment(glob: Segment, text: Segment): boolean {
  let [g, t, star, taken] = [0, 0, -1, 0];
  while (t < text.length) {
    if (glob[g] === '*') {
      star = g++;
      taken = t;
    } else if (glob[g] === '?' || glob[g] === text[t]) {
      g++;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g++;
  return g === glob.length;
}

/** TAP 15: the first bits of the path's hash are the bin's number, in as many digits as the last bin needs. */
function binOf({ bits, prefix }: SuccinctRoles, { hash }: Path): string {
  const bin = Number.parseInt(hash.slice(0, 8), 16) >>> (32 - bits);
  return `${prefix}-${bin.toString(16).padStart(Math.ceil(bits / 4), '0')}`;
}

function isBin({ bits, prefix }: SuccinctRoles, name: string): boolean {
  if (!name.startsWith(`${prefix}-`)) return false;
  const digits = name.slice(prefix.length + 1);
  const isNumber = digits.length === Math.ceil(bits / 4) && /^[0-9a-f]+$/.test(digits);
  return isNumber && Number.parseInt(digits, 16) < 2 ** bits;
}

function isTopLevel(name: string): boolean {
  return TOP_LEVEL_ROLES.some((role) => role === name);
}

function malformed(why: string): ManifestError {
  return new ManifestError('metadata-malformed', `${WHERE}: ${why}`);
}
