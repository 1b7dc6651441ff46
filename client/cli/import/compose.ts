// The `secrets` of a Compose file, and who may read them: each top-level secret with a `file` becomes one of that name, each
// service that lists it a grant to a workload of the service's name (target, uid, gid and mode as there; mode 0444 without).
// `environment` and `external` ones are left aside. Size and nesting are bounded on the bytes before anything is parsed:
// the parser's time grows with the square of either.
import { dirname, resolve } from 'node:path';
import { isLapseError } from '../../../manifest/errors.ts';
import { parseSecretName } from '../../../manifest/names.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import { parseGrant } from '../options.ts';
import { checkFound, malformed, readBounded } from './source.ts';
import type { Findings, Found } from './source.ts';

const LIMIT = {
  bytes: 128 << 10,
  flowDepth: 32,
  indent: 256,
  lineBytes: 4096,
  perLine: 16,
  aliases: 100,
} as const;

type Members = Readonly<Record<string, unknown>>;

/** @throws ClientError import-malformed, value-unreadable; ManifestError value-too-large */
export async function readComposeFile(path: string): Promise<Findings> {
  const text = (await readBounded(path, LIMIT.bytes)).toString('utf8');
  const raw = await parse(text);
  const found: Found[] = [];
  const skipped: string[] = [];
  for (const [name, value] of Object.entries(members(raw['secrets'] ?? {}, 'secrets'))) {
    const { file } = members(value ?? {}, `secrets.${name}`);
    if (typeof file !== 'string') {
      skipped.push(`${name}: it comes from no file`);
      continue;
    }
    const bytes = await readBounded(resolve(dirname(path), file));
    if (bytes.length === 0) skipped.push(`${name}: it is empty`);
    else found.push(named(name, bytes, members(raw['services'] ?? {}, 'services')));
  }
  return { found: checkFound(found), skipped };
}

async function parse(text: string): Promise<Members> {
  checkBounds(text);
  // Only whoever imports from Compose pays for the parser.
  const { parseDocument } = await import('yaml');
  try {
    const document = parseDocument(text, { uniqueKeys: false, merge: true, prettyErrors: false });
    if (document.errors.length > 0) throw malformed(document.errors[0]?.message ?? 'no YAML');
    return members(document.toJS({ maxAliasCount: LIMIT.aliases }), 'the file');
  } catch (cause) {
    if (isLapseError(cause)) throw cause;
    throw malformed(cause instanceof Error ? cause.message : 'no YAML');
  }
}

/** Deep and wide documents are refused by counting characters; that some stand in strings makes it only stricter. */
function checkBounds(text: string): void {
  let depth = 0;
  for (const line of text.split('\n')) {
    const indent = line.length - line.trimStart().length;
    const markers = line.match(/(?:^|\s)[-?:](?=\s)/g)?.length ?? 0;
    if (indent > LIMIT.indent || line.length > LIMIT.lineBytes || markers > LIMIT.perLine) {
      throw malformed('the file is nested too deep, or has too long a line');
    }
    for (const character of line) {
      if (character === '[' || character === '{') depth++;
      if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
      if (depth > LIMIT.flowDepth) throw malformed('the file is nested too deep');
    }
  }
}

function named(text: string, value: Buffer, services: Members): Found {
  try {
    const name = parseSecretName(text);
    const grants = Object.entries(services).flatMap(([service, of]) => grantsOf(service, of, text));
    return { name, value, grants };
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw malformed(`${text}: ${cause.message}`);
  }
}

/** The grants of one service for one secret: a name, or `{source, target, uid, gid, mode}`. */
function grantsOf(service: string, of: unknown, secret: string): readonly Grant[] {
  const { secrets } = members(of ?? {}, `services.${service}`);
  if (secrets === undefined || secrets === null) return [];
  if (!Array.isArray(secrets)) throw malformed(`services.${service}.secrets: a list expected`);
  const grants = secrets.flatMap((each: unknown) => {
    const entry = typeof each === 'string' ? { source: each } : members(each, `services.${service}.secrets`);
    if (entry['source'] !== secret) return [];
    const target = plain(entry['target']) ?? secret;
    const options = {
      as: target.slice(target.lastIndexOf('/') + 1),
      uid: plain(entry['uid']) ?? '0',
      gid: plain(entry['gid']) ?? '0',
      mode: modeOf(entry['mode']),
    };
    return [parseGrant(service, parseSecretName(secret), options)];
  });
  if (grants.length > 1) throw malformed(`services.${service}.secrets has it twice`);
  return grants;
}

/** Octal, however it is spelled: 0440 is read by YAML 1.2 as the number 440, 0o440 as 288, and "0440" is a string. */
function modeOf(value: unknown = '0444'): string {
  const isValue = typeof value === 'number' && !/^[04]+$/.test(String(value));
  const digits = isValue ? value.toString(8) : (plain(value) ?? '');
  return digits.replace(/^0(?=\d{3}$)/, '').padStart(4, '0');
}

function plain(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function members(value: unknown, where: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw malformed(`${where}: a mapping expected`);
}
