// A host's word: what it signs with its own key for everybody to read (compact JWS, RFC 7515, EdDSA). Receipts and the
// statements of drills are such words; the header's `typ` says which. The payload is canonical JSON with a purpose.
import { CompactSign, compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import type { KeyObject } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError, isLapseError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { Json, JsonObject } from '../json.ts';
import { object, string } from '../shape.ts';
import type { HostRecord } from './hosts.ts';

export interface WordKind {
  /** In errors: `a receipt`. */
  readonly noun: string;
  readonly purpose: string;
  /** Of the JWS header. */
  readonly typ: string;
  /** Characters of the whole JWS. */
  readonly most: number;
  /** What it is refused with. */
  readonly code: 'receipt-refused' | 'drill-refused';
}

/** A compact JWS. `kid` is the thumbprint of the host's signing key. */
export async function signWord(
  kind: WordKind,
  payload: JsonObject,
  key: KeyObject,
  kid: string,
): Promise<string> {
  return new CompactSign(canonicalJson({ purpose: kind.purpose, ...payload }))
    .setProtectedHeader({ alg: 'EdDSA', kid, typ: kind.typ })
    .sign(key);
}

/** @throws ManifestError the kind's code: not signed by that host, or of another purpose; and the readers' codes */
export async function verifyWord(kind: WordKind, jws: string, host: HostRecord): Promise<JsonObject> {
  if (jws.length > kind.most) throw refusedWord(kind, 'it is too long');
  const raw = object(parseJson(await verifiedPayload(kind, jws, host), kind.most), kind.purpose);
  if (raw['purpose'] !== kind.purpose) throw refusedWord(kind, `it is not ${kind.noun}`);
  return raw;
}

/** The `typ` that a JWS claims to have, before anything is verified. */
export function claimedType(jws: string): string | undefined {
  try {
    return decodeProtectedHeader(jws).typ;
  } catch {
    return undefined;
  }
}

export function refusedWord({ noun, code }: WordKind, why: string): ManifestError {
  return new ManifestError(code, `${noun} was refused: ${why}`);
}

/** A host may be broken into, and what it says goes to people's terminals. */
export function printable(kind: WordKind, value: Json | undefined, where: string): string {
  const text = string(value, where);
  if (/^[\x21-\x7e]{1,256}$/.test(text)) return text;
  throw refusedWord(kind, 'a word in it is not up to 256 printable characters');
}

async function verifiedPayload(
  kind: WordKind,
  jws: string,
  { signing, kid }: HostRecord,
): Promise<Uint8Array> {
  try {
    const key = await importJWK({ kty: signing.kty, crv: signing.crv, x: signing.x }, 'EdDSA');
    const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['EdDSA'] });
    if (protectedHeader.kid === kid && protectedHeader.typ === kind.typ) return payload;
  } catch (cause) {
    if (isLapseError(cause)) throw cause;
  }
  throw refusedWord(kind, "its signature is not that host's");
}
