// What travels between the service and its clients about drills' reports: one that is posted, and pages of those that are
// kept. A reader verifies each by itself (`signed-report.ts`): that the service kept it says nothing.
import type { Json, JsonObject } from '../../json.ts';
import { parseJson } from '../../json.ts';
import { LIMITS } from '../../limits.ts';
import { array, integer, object, string } from '../../shape.ts';

export const KEPT_LIMITS = {
  /** Reports that a service keeps. */
  most: 1000,
  /** Of one answer: how many, and how many bytes of them before it ends; the last one may exceed them. */
  perAnswer: 100,
  pageBytes: 1 << 20,
  /** The body of a post, and one answer. */
  postBytes: LIMITS.reportBytes + 64,
  answerBytes: (1 << 20) + LIMITS.reportBytes + (64 << 10),
} as const;

export interface KeptReport {
  /** Numbered in the order in which they came. */
  readonly id: number;
  readonly jws: string;
  /** When it came, by the service's clock; milliseconds since the epoch. */
  readonly at: number;
}

/** `GET /v1/drills?after=N&limit=M`: what came after number N, and the last number there is. */
export interface KeptReports {
  readonly drills: readonly KeptReport[];
  readonly last: number;
}

export function encodeReportPost(jws: string): JsonObject {
  return { jws };
}

export function parseReportPost(body: Uint8Array): string {
  return string(object(parseJson(body, KEPT_LIMITS.postBytes), 'drill')['jws'], 'drill.jws');
}

export function encodeKeptReports({ drills, last }: KeptReports): JsonObject {
  return { drills: drills.map(({ id, jws, at }) => ({ id, jws, at })), last };
}

export function parseKeptReports(body: Uint8Array): KeptReports {
  const raw = object(parseJson(body, KEPT_LIMITS.answerBytes), 'drills');
  return {
    drills: array(raw['drills'], 'drills', KEPT_LIMITS.perAnswer).map(readKept),
    last: integer(raw['last'], 'drills.last'),
  };
}

function readKept(value: Json): KeptReport {
  const raw = object(value, 'drills');
  return {
    id: integer(raw['id'], 'drills.id', 1),
    jws: string(raw['jws'], 'drills.jws'),
    at: integer(raw['at'], 'drills.at'),
  };
}
