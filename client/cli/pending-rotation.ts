// A rotation that changes something outside first, between its steps: the new value, sealed to the namespace's custodians and
// never in clear, in the realm directory. As long as the file is there, the world outside may have the new value and readers
// the old one; it goes when the version is published, or when the operator gives it up.
//
//   rotation.NAMESPACE.NAME.json   mode 0600
import { readdir } from 'node:fs/promises';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import { parseSecretReference } from '../../manifest/names.ts';
import type { SecretReference } from '../../manifest/names.ts';
import { ENVELOPE, associatedData, valueRange } from '../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import { readWrappedKey, wrappedKeyJson } from '../../manifest/realm/jwe.ts';
import type { WrappedKey } from '../../manifest/realm/jwe.ts';
import { unwrapKey } from '../../manifest/realm/key-wrap.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { importRecipient } from '../../manifest/realm/recipient.ts';
import { array, integer, object, string } from '../../manifest/shape.ts';
import { ClientError } from '../errors.ts';
import { sealVersion } from './new-version.ts';
import type { RealmDirectory } from './realm-directory.ts';
import { policyOf } from './session.ts';
import type { Session } from './session.ts';

const NAME = /^rotation\.([a-z0-9-]+)\.([A-Za-z0-9._-]+)\.json$/;
const MOST_BYTES = 4 << 20;
const MOST_ARGUMENTS = 256;

export interface Rotation {
  readonly reference: SecretReference;
  /** `changing`: the command was begun, and whether it did its work is unknown. `changed`: it did. */
  readonly state: 'changing' | 'changed';
  /** What is run, with the value on its standard input. */
  readonly command: readonly string[];
  /** The version that the value is bound to here; it is published as whichever is next then. */
  readonly version: number;
  readonly envelope: Uint8Array;
  readonly keys: readonly WrappedKey[];
}

/** Seals a value to the custodians of its namespace. The caller zeroes it. */
export async function beginRotation(
  session: Session,
  reference: SecretReference,
  version: number,
  value: Uint8Array,
  command: readonly string[],
): Promise<Rotation> {
  const { custodians } = policyOf(session.state, reference.namespace);
  const recipients = await Promise.all(custodians.map(importRecipient));
  const context = contextOf(session, reference, version);
  const sealed = await sealVersion(value, context, recipients);
  return { reference, state: 'changing', command, version, ...sealed };
}

/** The value; the caller zeroes it. @throws ClientError custodian-missing, ManifestError key-wrap-mismatch */
export async function openRotation(session: Session, rotation: Rotation): Promise<Buffer> {
  const { reference, version, envelope, keys } = rotation;
  const [known] = await session.identities.decryptors(keys.map(({ kid }) => kid));
  const wrapped = keys.find(({ kid }) => kid === known?.kid);
  if (!known || !wrapped) {
    const names = keys.map(({ kid }) => kid.slice(0, 12)).join(', ');
    throw new ClientError('custodian-missing', `the value is sealed to ${names}; none of them is at hand`);
  }
  const identity = await session.identities.open(known);
  const context = contextOf(session, reference, version);
  const dataKey = await unwrapKey(wrapped, (jwe) => identity.decrypt(jwe), context);
  const nonce = envelope.subarray(0, ENVELOPE.nonceBytes);
  const cipher = xchacha20poly1305(dataKey, nonce, associatedData(context));
  let padded: Uint8Array | undefined;
  try {
    padded = cipher.decrypt(envelope.subarray(ENVELOPE.nonceBytes));
    return Buffer.from(padded.subarray(...valueRange(padded)));
  } finally {
    padded?.fill(0);
    dataKey.fill(0);
  }
}

/** Replaces the file atomically; what it says is on the disk when this returns. */
export async function saveRotation(directory: RealmDirectory, rotation: Rotation): Promise<void> {
  const { reference, state, command, version, envelope, keys } = rotation;
  const json = {
    secret: `${reference.namespace}/${reference.name}`,
    state,
    command,
    version,
    envelope: Buffer.from(envelope).toString('base64'),
    keys: keys.map(wrappedKeyJson),
  };
  await directory.write(fileName(reference), Buffer.from(JSON.stringify(json)));
}

/** @throws ClientError realm-directory-malformed */
export async function loadRotation(
  directory: RealmDirectory,
  reference: SecretReference,
): Promise<Rotation | undefined> {
  const name = fileName(reference);
  const bytes = await directory.read(name);
  if (!bytes) return undefined;
  try {
    return parseRotation(bytes);
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw new ClientError('realm-directory-malformed', `${directory.file(name)}: ${cause.message}`, {
      cause,
    });
  }
}

export async function forgetRotation(directory: RealmDirectory, reference: SecretReference): Promise<void> {
  await directory.remove(fileName(reference));
}

/** The secrets whose rotation was begun and not ended. */
export async function unfinishedRotations(directory: RealmDirectory): Promise<readonly string[]> {
  const names = (await readdir(directory.path)).sort();
  return names.flatMap((name) => {
    const [, namespace, secret] = NAME.exec(name) ?? [];
    return namespace !== undefined && secret !== undefined ? [`${namespace}/${secret}`] : [];
  });
}

function parseRotation(bytes: Uint8Array): Rotation {
  const raw = object(parseJson(bytes, MOST_BYTES), 'rotation');
  const state = string(raw['state'], 'rotation.state');
  return {
    reference: parseSecretReference(string(raw['secret'], 'rotation.secret')),
    state: state === 'changed' ? 'changed' : 'changing',
    command: array(raw['command'], 'rotation.command', MOST_ARGUMENTS).map((word) =>
      string(word, 'rotation.command'),
    ),
    version: integer(raw['version'], 'rotation.version', 1),
    envelope: Buffer.from(string(raw['envelope'], 'rotation.envelope'), 'base64'),
    keys: array(raw['keys'], 'rotation.keys', LIMITS.recipientsPerVersion).map((key) =>
      readWrappedKey(key, 'rotation.keys'),
    ),
  };
}

function contextOf(session: Session, { namespace, name }: SecretReference, version: number): VersionContext {
  return { realm: session.updater.realm, namespace, name, version };
}

function fileName({ namespace, name }: SecretReference): string {
  return `rotation.${namespace}.${name}.json`;
}
