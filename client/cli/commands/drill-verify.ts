// `lapse drill verify FILE`: whether a report is what somebody who may order drills has signed, and whether its figures follow
// from the trials in it. With a key that the auditor names no service is asked: that the realm still trusts it is not said then.
import { open } from 'node:fs/promises';
import { ManifestError } from '../../../manifest/errors.ts';
import type { RealmId } from '../../../manifest/names.ts';
import { reportSigner, verifyReport } from '../../../manifest/realm/drill/signed-report.ts';
import type { SignedReport } from '../../../manifest/realm/drill/signed-report.ts';
import { realmId } from '../../../manifest/realm/realm.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { ed25519KeyJson, keyId } from '../../../manifest/tuf/keys.ts';
import type { RoleKeys } from '../../../manifest/tuf/keys.ts';
import { PublicKey } from '../../../manifest/tuf/public-key.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import { differencesOf } from '../../drill/differences.ts';
import { REPORT_FILE_BYTES, parseReportFile } from '../../drill/report-file.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { drillKeys } from '../drill-reports.ts';
import { counted } from '../output.ts';
import { keyNames } from '../proposal.ts';
import { Session } from '../session.ts';

interface VerifyOptions {
  readonly key?: string;
}

/** Whose signature counts. */
interface Trusted {
  readonly realm: RealmId;
  readonly keys: RoleKeys['keys'];
}

export const registerDrillVerify: Register = (drill, run) => {
  drill
    .command('verify')
    .argument('<file>', 'what lapse drill --json printed, the page of --report, or the signature alone')
    .summary('check the report of a drill')
    .description('Checks who signed a report, and computes its figures again from the trials in it.')
    .option(
      '--key <key>',
      'who signed it: 64 hexadecimal digits, a public line or a name; no service is asked',
    )
    .addHelpText(
      'after',
      `
Without --key, the key must be one that may order drills now. Exit code 1 when it is not, when anything was altered
since it was signed, or when the figures do not follow from the trials; what differs is named.

  lapse drill verify drill.json
  lapse drill verify drill.html --key 6a1c…`,
    )
    .action((file: string, options: VerifyOptions) => run((context) => verify(context, file, options)));
};

async function verify(context: Context, path: string, { key }: VerifyOptions): Promise<void> {
  const file = parseReportFile(await bytesOf(path));
  const { jws, content } = file;
  const trusted = await (key === undefined ? byRole(context) : byName(context, key));
  const signer = reportSigner(jws);
  if (!trusted.keys.has(signer)) throw unknownSigner(signer, key);
  const report = verifyReport(jws, trusted.keys, trusted.realm);
  const differences = differencesOf(file, report);
  if (differences.length > 0) {
    throw new ClientError('drill-mismatch', `${path} is not what was signed: ${differences.join('; ')}`);
  }
  const by = (await keyNames(context.identities))(signer);
  const { drill, kind, pass } = report.summary;
  context.output.result(
    lines(report, by, { isNamed: key !== undefined, isWhole: content?.record !== undefined }),
    {
      drill,
      kind,
      pass,
      signer,
      by,
      role: key === undefined,
      record: content?.record !== undefined,
    },
  );
}

/** Whoever may order drills now, by the realm as it verifies here. */
async function byRole(context: Context): Promise<Trusted> {
  const { state, updater } = await Session.open(context);
  return { realm: updater.realm, keys: drillKeys(state) };
}

async function byName({ directory, identities }: Context, key: string): Promise<Trusted> {
  const isHex = /^[0-9a-f]{64}$/.test(key);
  const signing = isHex ? key : (await identities.publicOf(key)).signing;
  const { root } = trustRoot(await directory.anchor());
  const keys = new Map([[keyId(ed25519KeyJson(signing)), new PublicKey('ed25519', signing)]]);
  return { realm: realmId(root), keys };
}

function unknownSigner(signer: string, key: string | undefined): ManifestError {
  const why =
    key === undefined
      ? 'which may not order drills (any more); if you know whose it is, name it: --key HEX'
      : 'which is not the one that you named';
  return new ManifestError('drill-refused', `the report is signed by the key ${signer}, ${why}`);
}

function lines(
  { summary }: SignedReport,
  by: string,
  { isNamed, isWhole }: { readonly isNamed: boolean; readonly isWhole: boolean },
): readonly string[] {
  const { drill, kind, endedAt, trials, hosts, pass } = summary;
  const may = isNamed ? 'the key that you named' : 'who may order drills';
  return [
    `Drill ${kind} ${drill}, ended ${formatInstant(endedAt)}: ${counted(trials, 'trial')}, ${counted(hosts, 'host')}, ${pass ? 'passed' : 'FAILED'}.`,
    `Signed by ${by}, ${may}.`,
    isWhole
      ? 'The summary is what was signed, the record is the one that it was computed from, and gives the same figures.'
      : 'The record is not in this file: the figures are as they were signed, and were not computed again.',
  ];
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size <= REPORT_FILE_BYTES) return await file.readFile();
  } catch (cause) {
    throw new ClientError('value-unreadable', `cannot read ${path}`, { cause });
  }
  throw new ClientError('value-unreadable', `${path} is too large for a report`);
}
