// A receipt: what one host says is in effect on it, and what it withdrew, signed with the host's own key (JWS, RFC 7515,
// EdDSA). It states the versions and hashes of the roles that it applied, so two different files of one version anywhere
// in the fleet come to light. It is the word of an honest host, no proof of erasure.
import type { KeyObject } from 'node:crypto';
import type { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseHostName, parseRealmId } from '../names.ts';
import type { HostName, RealmId } from '../names.ts';
import { array, formatInstant, hex, instant, integer, object, string } from '../shape.ts';
import { printable, refusedWord, signWord, verifyWord } from './host-word.ts';
import type { WordKind } from './host-word.ts';
import type { HostRecord } from './hosts.ts';

const RECEIPT: WordKind = {
  noun: 'a receipt',
  purpose: 'lapse-receipt',
  typ: 'lapse-receipt+jws',
  most: LIMITS.receiptBytes,
  code: 'receipt-refused',
};

/** A role's file as it is in effect on the host. */
export interface AppliedRole {
  readonly version: number;
  readonly sha256: string;
}

export interface Receipt {
  readonly realm: RealmId;
  readonly host: HostName;
  /** The kernel's boot id, and a number that rises by one with each receipt of this start of the daemon. */
  readonly boot: string;
  readonly sequence: number;
  /** By the host's wall clock, milliseconds since the epoch. */
  readonly at: number;
  /** What is in effect; a role that failed, or is not applied yet, is absent. */
  readonly roles: ReadonlyMap<string, AppliedRole>;
  /** `NAMESPACE/NAME@VERSION`; at most LIMITS.withdrawnPerReceipt, `more` counts the rest. */
  readonly withdrawn: readonly string[];
  readonly more: number;
  /** Files whose cached pages were invalidated. */
  readonly mappings: number;
  /** By role: the code why it does not verify here. */
  readonly failures: ReadonlyMap<string, string>;
  /** Microseconds of the host's monotonic clock since the news was received. */
  readonly verifiedUs: number;
  readonly effectUs: number;
}

/** A compact JWS. `kid` is the thumbprint of the host's signing key. */
export function signReceipt(receipt: Receipt, key: KeyObject, kid: string): Promise<string> {
  return signWord(RECEIPT, receiptJson(receipt), key, kid);
}

/** @throws ManifestError receipt-refused: not signed by that host, or not of that realm; and the readers' codes */
export async function verifyReceipt(jws: string, host: HostRecord, realm: RealmId): Promise<Receipt> {
  const receipt = readReceipt(await verifyWord(RECEIPT, jws, host));
  if (receipt.host !== host.name || receipt.realm !== realm) throw refused('it is of another host or realm');
  return receipt;
}

function receiptJson(receipt: Receipt): JsonObject {
  const { at, roles, withdrawn, failures, ...plain } = receipt;
  return {
    ...plain,
    at: formatInstant(at),
    roles: Object.fromEntries([...roles].map(([name, { version, sha256 }]) => [name, { version, sha256 }])),
    withdrawn,
    failures: Object.fromEntries(failures),
  };
}

function readReceipt(raw: JsonObject): Receipt {
  const roles = Object.entries(object(raw['roles'], 'receipt.roles'));
  const failures = Object.entries(object(raw['failures'], 'receipt.failures'));
  const most = 2 * LIMITS.namespaces + 8;
  if (roles.length > most || failures.length > most) throw refused('it lists too many roles');
  return {
    realm: parseRealmId(string(raw['realm'], 'receipt.realm')),
    host: parseHostName(string(raw['host'], 'receipt.host')),
    boot: printable(RECEIPT, raw['boot'], 'receipt.boot'),
    sequence: integer(raw['sequence'], 'receipt.sequence', 1),
    at: instant(raw['at'], 'receipt.at'),
    roles: new Map(
      roles.map(([name, role]) => [
        printable(RECEIPT, name, 'receipt.roles'),
        readApplied(role, `receipt.roles.${name}`),
      ]),
    ),
    withdrawn: array(raw['withdrawn'], 'receipt.withdrawn', LIMITS.withdrawnPerReceipt).map((path) =>
      printable(RECEIPT, path, 'receipt.withdrawn'),
    ),
    more: integer(raw['more'], 'receipt.more'),
    mappings: integer(raw['mappings'], 'receipt.mappings'),
    failures: new Map(
      failures.map(([name, code]) => [
        printable(RECEIPT, name, 'receipt.failures'),
        printable(RECEIPT, code, `receipt.failures.${name}`),
      ]),
    ),
    verifiedUs: integer(raw['verifiedUs'], 'receipt.verifiedUs'),
    effectUs: integer(raw['effectUs'], 'receipt.effectUs'),
  };
}

function readApplied(value: Json, where: string): AppliedRole {
  const raw = object(value, where);
  return { version: integer(raw['version'], `${where}.version`, 1), sha256: hex(raw['sha256'], where, 32) };
}

function refused(why: string): ManifestError {
  return refusedWord(RECEIPT, why);
}
