// host.json as its tests read it, and the host's record in it.
import type { JsonObject } from '../../../manifest/json.ts';
import { readHosts } from '../../../manifest/realm/hosts.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import { unsignedTargets } from './repository.ts';
import { vectors } from './vectors.ts';

interface Refused {
  readonly code: string;
  readonly reason: string;
  readonly value: string;
}

interface HostVector {
  readonly realm: string;
  readonly record: { targets: JsonObject; kid: string };
  readonly keyring: {
    file: string;
    pool: { realm: string; pool: string; epoch: number; raw: string; jwk: { x: string } };
    header: string;
    refused: Refused[];
  };
  readonly token: {
    now: number;
    jti: string;
    header: object;
    claims: object;
    jwt: string;
    refused: Refused[];
  };
  readonly receipt: { payload: JsonObject; canonical: string; jws: string; refused: Refused[] };
  readonly statement: { said: { payload: JsonObject; jws: string }[]; refused: Refused[] };
  readonly order: { good: JsonObject[]; refused: { code: string; reason: string; order: JsonObject }[] };
  readonly invite: { line: string; invitation: JsonObject; refused: Refused[] };
  readonly join: {
    bound: string;
    request: JsonObject;
    refused: { code: string; reason: string; request: JsonObject }[];
  };
  readonly echo: { nonce: string; version: number; sha256: string; file: string; refused: Refused[] };
}

export const hostVector = vectors('host') as HostVector;

export function hostRecord(): HostRecord {
  const [record] = [...readHosts(unsignedTargets(hostVector.record.targets)).values()];
  if (!record) throw new Error('host.json has no record');
  return record;
}
