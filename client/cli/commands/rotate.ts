// `lapse rotate`: replaces a secret's value; the old version lives on until its overlap ends.
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { publishVersion, versionName } from '../new-version.ts';
import { parseCount, parseOverlap, parseSecret } from '../options.ts';
import { Session, secretOf, secretsOf } from '../session.ts';
import type { Secrets } from '../../updater.ts';
import { Stopwatch } from '../stopwatch.ts';
import { readValue } from '../value.ts';
import type { ValueSource } from '../value.ts';

interface RotateOptions {
  readonly file?: string;
  readonly generate?: string;
  readonly overlap?: string;
}

export const registerRotate: Register = (program, run) => {
  program
    .command('rotate')
    .argument('<namespace/name>')
    .summary('replace a value under running readers')
    .description('Publishes the next version of a secret that exists. New opens see it at once.')
    .option('--file <path>', 'read the new value from a file instead of stdin')
    .option('--generate <characters>', 'make a random value of that many characters (16 to 1024)')
    .option('--overlap <time>', 'how long the new version will live on after the one that follows it')
    .addHelpText(
      'after',
      `
A descriptor that was opened before keeps the old value until the overlap of the old version ends.

  lapse rotate payments/db-password --generate 32
  lapse rotate payments/tls-key --file server.key`,
    )
    .action((name: string, options: RotateOptions) => run((context) => rotate(context, name, options)));
};

async function rotate(
  { clock, output, directory, input }: Context,
  name: string,
  options: RotateOptions,
): Promise<void> {
  const reference = parseSecret(name);
  const source = valueSource(options);
  const overlapSeconds = parseOverlap(options.overlap);
  const session = await Session.open(directory, clock);
  const terms = { grants: [], overlapSeconds };
  const mustExist = (secrets: Secrets): unknown => secretOf(secrets, reference.namespace, reference.name);
  // Before anybody is asked for a value: there must be something to rotate.
  mustExist(secretsOf(session.state, reference.namespace));
  const value = await readValue(source, input);
  const watch = new Stopwatch(clock);
  const made = await publishVersion(session, watch, reference, value, terms, mustExist);
  const report = watch.report();
  output.result([`${versionName(reference, made.version)} is published, after ${report.ms['total']} ms.`], {
    secret: `${reference.namespace}/${reference.name}`,
    version: made.version,
    timestamp: made.timestamp,
    ...report,
  });
}

function valueSource({ file, generate }: RotateOptions): ValueSource {
  if (generate === undefined) return file === undefined ? {} : { file };
  if (file !== undefined) throw new ClientError('usage', 'give either --file or --generate');
  return { generate: parseCount(generate, '--generate', 16, 1024) };
}
