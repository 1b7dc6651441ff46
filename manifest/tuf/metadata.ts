// What every role's file has in common: `{signed, signatures}`, the type, the version, the expiry. A parsed file
// keeps its raw `signed` member, so that what a newer writer added survives an edit, and its exact bytes.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, instant, integer, object, string } from '../shape.ts';
import type { KeyId, Signature } from './keys.ts';

/** The specification that this folder follows; section numbers in comments are its own. */
export const SPEC_VERSION = '1.0.34';

export interface Header {
  readonly version: number;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** Bytes that were parsed but not yet trusted. */
export interface Unverified {
  readonly bytes: Uint8Array;
  readonly raw: JsonObject;
  readonly signatures: readonly Signature[];
  readonly canonical: Uint8Array;
}

/** A role whose signatures, version and expiry passed; only the trusted set makes one. */
export interface Verified<Role> {
  readonly bytes: Uint8Array;
  /** Of `bytes`, in hexadecimal. */
  readonly sha256: string;
  readonly raw: JsonObject;
  readonly role: Role;
}

export function parseMetadata(bytes: Uint8Array, type: string, maxBytes: number): Unverified {
  const file = parseSignedFile(bytes, type, maxBytes);
  const { raw } = file;
  if (!/^1\.\d+(\.\d+)?$/.test(string(raw['spec_version'], `${type}.spec_version`))) {
    throw new ManifestError(
      'spec-version-unsupported',
      `${type}: only version 1 of the specification is known`,
    );
  }
  return file;
}

/** `{signed, signatures}` around whatever has that `_type`. */
export function parseSignedFile(bytes: Uint8Array, type: string, maxBytes: number): Unverified {
  const file = object(parseJson(bytes, maxBytes), type);
  const raw = object(file['signed'], `${type}.signed`);
  if (raw['_type'] !== type) {
    throw new ManifestError('metadata-type', `a ${type} file was expected; its _type is another`);
  }
  const signatures = array(file['signatures'], `${type}.signatures`, LIMITS.signatures).map(parseSignature);
  if (new Set(signatures.map((signature) => signature.keyid)).size !== signatures.length) {
    throw new ManifestError('metadata-malformed', `${type}.signatures: a key id stands twice`);
  }
  return { bytes, raw, signatures, canonical: canonicalJson(raw) };
}

/** The length is left open: a signature of a key type that this version does not know spoils no file. */
function parseSignature(value: Json): Signature {
  const { keyid, sig } = object(value, 'signatures');
  return {
    keyid: string(keyid, 'signatures.keyid'),
    sig: Buffer.from(hex(sig, 'signatures.sig'), 'hex'),
  };
}

export function parseHeader(raw: JsonObject, where: string): Header {
  return {
    version: integer(raw['version'], `${where}.version`, 1),
    expires: instant(raw['expires'], `${where}.expires`),
  };
}

/** What a parent role says of a file below it. Lengths in bytes. */
export interface FileMeta {
  readonly length?: number;
  readonly sha256?: string;
}

export function parseFileMeta(value: JsonObject, where: string): FileMeta {
  return {
    ...(value['length'] === undefined ? {} : { length: integer(value['length'], `${where}.length`) }),
    ...(value['hashes'] === undefined ? {} : { sha256: parseSha256(value['hashes'], `${where}.hashes`) }),
  };
}

/** Hashes without a sha256 are refused: nobody here could check them. */
export function parseSha256(hashes: Json | undefined, where: string): string {
  return hex(object(hashes, where)['sha256'], `${where}.sha256`, 32);
}

/** @throws ManifestError length-mismatch, hash-mismatch */
export function checkFile(bytes: Uint8Array, meta: FileMeta, what: string): void {
  if (meta.length !== undefined && bytes.length !== meta.length) {
    throw new ManifestError(
      'length-mismatch',
      `${what} has ${bytes.length} bytes, ${meta.length} were signed`,
    );
  }
  if (meta.sha256 !== undefined && sha256(bytes) !== meta.sha256) {
    throw new ManifestError('hash-mismatch', `${what} is not the file whose sha256 was signed`);
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Signs with one key; the private half stays with whoever made the function. */
export interface Signer {
  readonly keyid: KeyId;
  sign(bytes: Uint8Array): Uint8Array;
}

/** The bytes of a role's file, signed by each signer. */
export function signMetadata(signed: JsonObject, signers: readonly Signer[]): Uint8Array {
  const canonical = canonicalJson(signed);
  return withSignatures(
    signed,
    signers.map((signer) => ({ keyid: signer.keyid, sig: signer.sign(canonical) })),
  );
}

/** The same for signatures over `canonicalJson(signed)` that were made elsewhere. */
export function withSignatures(signed: JsonObject, signatures: readonly Signature[]): Uint8Array {
  const list = signatures.map(({ keyid, sig }) => ({ keyid, sig: Buffer.from(sig).toString('hex') }));
  return new TextEncoder().encode(JSON.stringify({ signed, signatures: list }));
}
