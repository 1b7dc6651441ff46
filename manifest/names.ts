// Names that travel in metadata, on the command line and into path names. Each is a branded string that only its
// parser here makes, so that a namespace cannot be passed where a secret is meant, and none can climb out of a path.
import { ManifestError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** One team's delegated targets role, e.g. `payments`. */
export type Namespace = Branded<'namespace'>;
/** A secret within its namespace, e.g. `db-password`. */
export type SecretName = Branded<'secret'>;
/** What a grant names: a container or a service on a host, e.g. `web`. */
export type Workload = Branded<'workload'>;
/** The file name under which a view shows a secret. */
export type FileName = Branded<'file'>;
/** A set of hosts that share a decryption key, e.g. `default`. */
export type PoolName = Branded<'pool'>;
/** One machine that serves secrets, e.g. `web-1.example`. */
export type HostName = Branded<'host'>;
/** The host path of a version's envelope in the realm: `payments/db-password@3`. */
export type TargetPath = Branded<'target'>;
/** sha256, in hexadecimal, of the canonical signed part of root 1. */
export type RealmId = Branded<'realm'>;

const RESERVED = new Set(['root', 'targets', 'snapshot', 'timestamp', 'fleet']);

function refuse(kind: string, rule: string): ManifestError {
  return new ManifestError('name-invalid', `not a ${kind}: ${rule}`);
}

export function parseNamespace(text: string): Namespace {
  const reserved = RESERVED.has(text) || text.startsWith('fleet-') || text.endsWith('-revoker');
  if (reserved || !/^[a-z][a-z0-9-]{0,62}$/.test(text)) {
    throw refuse('namespace', 'a lower-case letter, then up to 62 of a-z 0-9 -, and no reserved name');
  }
  return text as Namespace;
}

export function parseSecretName(text: string): SecretName {
  // Names are keys of JSON objects, where that one is refused.
  if (text === '__proto__' || !/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text)) {
    throw refuse('secret name', 'up to 128 of A-Z a-z 0-9 . _ -, not beginning with . or -');
  }
  return text as SecretName;
}

export function parseWorkload(text: string): Workload {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(text)) {
    throw refuse('workload', 'up to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit');
  }
  return text as Workload;
}

export function parsePoolName(text: string): PoolName {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(text)) {
    throw refuse('pool name', 'a lower-case letter, then up to 62 of a-z 0-9 -');
  }
  return text as PoolName;
}

export function parseHostName(text: string): HostName {
  if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(text)) {
    throw refuse('host name', 'up to 63 of a-z 0-9 . -, beginning with a letter or digit');
  }
  return text as HostName;
}

export function parseFileName(text: string): FileName {
  if (text.length > 128 || !/^\.?[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text)) {
    throw refuse('file name', 'up to 128 of A-Z a-z 0-9 . _ -, not beginning with - or ..');
  }
  return text as FileName;
}

export function parseRealmId(text: string): RealmId {
  if (!/^[0-9a-f]{64}$/.test(text)) throw refuse('realm id', '64 hexadecimal digits');
  return text as RealmId;
}

/** A secret as people write it. `version` is there only when `@VERSION` was. */
export interface SecretReference {
  readonly namespace: Namespace;
  readonly name: SecretName;
  readonly version?: number;
}

/** Parses `NAMESPACE/NAME` or `NAMESPACE/NAME@VERSION`. */
export function parseSecretReference(text: string): SecretReference {
  const match = /^([^/@]+)\/([^/@]+)(?:@([1-9]\d{0,14}))?$/.exec(text);
  if (!match) throw refuse('secret', 'NAMESPACE/NAME or NAMESPACE/NAME@VERSION');
  const [, namespace = '', name = '', version] = match;
  return {
    namespace: parseNamespace(namespace),
    name: parseSecretName(name),
    ...(version === undefined ? {} : { version: Number(version) }),
  };
}

export function targetPath(namespace: Namespace, name: SecretName, version: number): TargetPath {
  return `${namespace}/${name}@${version}` as TargetPath;
}
