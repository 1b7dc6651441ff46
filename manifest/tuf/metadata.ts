// What every role's file has in common: `{signed, signatures}`, the type, the version, the expiry. A parsed file
// keeps its raw `signed` member, so that what a newer writer added survives an edit, and its exact bytes.
import { hash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { parseJsonAround } from '../json.ts';
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
  const { value, canonical = new Uint8Array() } = parseJsonAround(bytes, maxBytes, 'signed');
  const file = object(value, type);
  const raw = object(file['signed'], `${type}.signed`);
  if (raw['_type'] !== type) {
    throw new ManifestError('metadata-type', `a ${type} file was expected; its _type is another`);
  }
  const signatures = array(file['signatures'], `${type}.signatures`, LIMITS.signatures).map(parseSignature);
  if (new Set(signatures.map((signature) => signature.keyid)).size !== signatures.length) {
    throw new ManifestError('metadata-malformed', `${type}.signatures: a key id stands twice`);
  }
  return { bytes, raw, signatures, canonical };
}

/** What is no hexadecimal, or of any length, verifies nothing: the signature of an unknown key type spoils no file. */
function parseSignature(value: Json): Signature {
  const { keyid, sig } = object(value, 'signatures');
  const text = string(sig, 'signatures.sig');
  const isHex = /^([0-9a-f]{2})*$/i.test(text);
  return {
    keyid: string(keyid, 'signatures.keyid'),
    sig: isHex ? Buffer.from(text, 'hex') : new Uint8Array(),
  };
}

export function parseHeader(raw: JsonObject, where: string): Header {
  return {
    version: integer(raw['version'], `${where}.version`, 1),
    expires: instant(raw['expires'], `${where}.expires`),
  };
}

/** The hashes of a file that are known here, in hexadecimal. */
export interface Hashes {
  readonly sha256?: string;
  readonly sha512?: string;
  /** Only others were signed: nobody here can check them, so no bytes are ever taken for the file. */
  readonly uncheckable?: true;
}

/** What a parent role says of a file below it. Lengths in bytes. */
export interface FileMeta extends Hashes {
  readonly length?: number;
}

export function parseFileMeta(value: JsonObject, where: string): FileMeta {
  return {
    ...(value['length'] === undefined ? {} : { length: integer(value['length'], `${where}.length`) }),
    ...(value['hashes'] === undefined ? {} : parseHashes(value['hashes'], where)),
  };
}

/** One or more hashes, by the name of their function. */
export function parseHashes(value: Json | undefined, where: string): Hashes {
  const hashes = object(value, where);
  const { sha256, sha512 } = hashes;
  if (sha256 === undefined && sha512 === undefined) {
    if (Object.keys(hashes).length > 0) return { uncheckable: true };
    throw new ManifestError('metadata-malformed', `${where}.hashes: at least one is needed`);
  }
  if (sha512 === undefined) return { sha256: hex(sha256, where, 32) };
  if (sha256 === undefined) return { sha512: hex(sha512, where, 64) };
  return { sha256: hex(sha256, where, 32), sha512: hex(sha512, where, 64) };
}

/**
 * A length, if one was signed, and every known hash that was signed.
 * @throws ManifestError length-mismatch, hash-mismatch
 */
export function checkFile(bytes: Uint8Array, meta: FileMeta, what: string): void {
  if (meta.length !== undefined && bytes.length !== meta.length) {
    throw new ManifestError(
      'length-mismatch',
      `${what} has ${bytes.length} bytes, ${meta.length} were signed`,
    );
  }
  if (meta.uncheckable || !hasHashes({ bytes, sha256: meta.sha256 && sha256(bytes) }, meta)) {
    throw new ManifestError('hash-mismatch', `${what} is not the file whose hash was signed`);
  }
}

/** Whether bytes, whose sha256 is known where one was signed, are those that a parent's hashes name. */
export function hasHashes(
  file: { readonly bytes: Uint8Array; readonly sha256: string | undefined },
  hashes: Hashes,
): boolean {
  if (hashes.sha256 !== undefined && file.sha256 !== hashes.sha256) return false;
  return hashes.sha512 === undefined || hash('sha512', file.bytes) === hashes.sha512;
}

export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes);
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
