// A drill's report, signed: a compact JWS (RFC 7515, EdDSA) of one of the role `drill`'s keys over the JSON of the summary,
// byte for byte as it was signed. It is put together by hand, since an identity signs bytes and never hands out its key.
// The header has one spelling, so nothing in it is interpreted: it is that one, for some key id, or the report is refused.
import { ManifestError } from '../../errors.ts';
import { parseFigures } from '../../json.ts';
import { LIMITS } from '../../limits.ts';
import type { RealmId } from '../../names.ts';
import type { KeyId } from '../../tuf/keys.ts';
import type { PublicKey } from '../../tuf/public-key.ts';
import { readSummary } from './read-summary.ts';
import type { DrillSummary } from './report.ts';

const TYPE = 'lapse-drill-report+jws';
const HEADER = /^\{"alg":"EdDSA","kid":"([0-9a-f]{64})","typ":"lapse-drill-report\+jws"\}$/;
const SIGNATURE_BYTES = 64;

/** An identity, as far as it is needed here. */
export interface ReportSigner {
  readonly public: { readonly keyid: KeyId };
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** A report whose signature is good. */
export interface SignedReport {
  readonly signer: KeyId;
  readonly summary: DrillSummary;
  /** What was signed: the text of the summary. */
  readonly payload: string;
}

interface Parts {
  readonly signer: KeyId;
  readonly payload: Buffer;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** @throws ManifestError drill-refused: too long, or nothing that a reader would take */
export async function signReport(summary: DrillSummary, signer: ReportSigner): Promise<string> {
  const payload = Buffer.from(JSON.stringify(summary));
  readPayload(payload);
  const header = JSON.stringify({ alg: 'EdDSA', kid: signer.public.keyid, typ: TYPE });
  const signed = `${Buffer.from(header).toString('base64url')}.${payload.toString('base64url')}`;
  const signature = await signer.sign(Buffer.from(signed));
  const jws = `${signed}.${Buffer.from(signature).toString('base64url')}`;
  if (jws.length > LIMITS.reportBytes) throw refused('it is too long');
  return jws;
}

/** Whose key is said to have signed it. @throws ManifestError drill-refused: no report */
export function reportSigner(jws: string): KeyId {
  return partsOf(jws).signer;
}

/**
 * `keys` are those of which any one may sign a report.
 * @throws ManifestError drill-refused: not signed by one of them, or of another realm; and the readers' codes
 */
export function verifyReport(jws: string, keys: ReadonlyMap<KeyId, PublicKey>, realm: RealmId): SignedReport {
  const { signer, payload, signed, signature } = partsOf(jws);
  const key = keys.get(signer);
  if (key?.scheme !== 'ed25519') throw refused('the role drill has no such key');
  if (!key.verifies(signed, signature)) throw refused('its signature is wrong');
  const summary = readPayload(payload);
  if (summary.realm !== realm) throw refused('it is of another realm');
  return { signer, summary, payload: payload.toString() };
}

function readPayload(payload: Uint8Array): DrillSummary {
  return readSummary(parseFigures(payload, LIMITS.reportBytes));
}

function partsOf(jws: string): Parts {
  if (jws.length > LIMITS.reportBytes) throw refused('it is too long');
  const [header = '', payload = '', signature = '', ...more] = jws.split('.');
  const [, signer] = HEADER.exec(decoded(header).toString('latin1')) ?? [];
  if (signer === undefined || more.length > 0) throw refused('it is no report');
  const raw = decoded(signature);
  if (raw.length !== SIGNATURE_BYTES) throw refused('its signature is wrong');
  return { signer, payload: decoded(payload), signed: Buffer.from(`${header}.${payload}`), signature: raw };
}

/** base64url in its one spelling: Node takes others, too. */
function decoded(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw refused('it is no report');
  return bytes;
}

function refused(why: string): ManifestError {
  return new ManifestError('drill-refused', `a drill's report was refused: ${why}`);
}
