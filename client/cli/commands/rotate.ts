// `lapse rotate`: replaces a secret's value; the old version lives on until its overlap ends. With --exec the value is first
// made known where it is used, and published only when that has worked; what was begun can be resumed or abandoned.
import type { SecretReference } from '../../../manifest/names.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { confirm } from '../confirm.ts';
import { publishConfirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { ExternalFailure, changeOutside } from '../external-change.ts';
import { addVersions, droppedLines, versionName } from '../new-version.ts';
import type { NewVersion } from '../new-version.ts';
import {
  WAITING_HELP,
  parseCount,
  parseOverlap,
  parseSeconds,
  parseOwnSecret,
  parseStale,
  parseWait,
  withWaiting,
} from '../options.ts';
import type { WaitWords } from '../options.ts';
import {
  beginRotation,
  forgetRotation,
  loadRotation,
  openRotation,
  saveRotation,
} from '../pending-rotation.ts';
import type { Rotation } from '../pending-rotation.ts';
import { Session, policyOf, secretOf, secretsOf } from '../session.ts';
import { readValue } from '../value.ts';
import type { ValueSource } from '../value.ts';

/** Whoever waits for others would have two values meanwhile, one outside and one in the realm. */
const EXEC_ALONE =
  'nothing was run: with --exec all signers must be at hand before the command has its effect';

interface RotateOptions extends WaitWords {
  readonly file?: string;
  readonly generate?: string;
  readonly overlap?: string;
  readonly whenStale?: string;
  readonly exec?: string;
  readonly execTimeout: string;
  readonly resume?: boolean;
  readonly abandon?: boolean;
  readonly yes?: boolean;
}

export const registerRotate: Register = (program, run) => {
  withWaiting(
    program
      .command('rotate')
      .argument('<namespace/name>')
      .argument('[arguments...]', 'of the command of --exec, after --')
      .summary('replace a value under running readers')
      .description('Publishes the next version of a secret that exists. New opens see it at once.')
      .option('--file <path>', 'read the new value from a file instead of stdin')
      .option('--generate <characters>', 'make a random value of that many characters (16 to 1024)')
      .option('--overlap <time>', 'how long the new version will live on after the one that follows it')
      .option('--when-stale <deny|serve>', 'whether hosts go on serving it when their lease is over')
      .option('--exec <command>', 'first give the value to a command, on its stdin; publish if it exits 0')
      .option('--exec-timeout <time>', 'how long that command may take', '60s')
      .option('--resume', 'go on with a rotation that was broken off')
      .option('--abandon', 'forget a rotation that was broken off, and its value')
      .option('-y, --yes', 'do not ask, with --abandon'),
  )
    .addHelpText(
      'after',
      `
A descriptor that was opened before keeps the old value until the overlap of the old version ends.
With --exec the value waits in the realm directory meanwhile, sealed to the custodians. If the command fails,
nothing is published, and the value is kept: --resume runs the command again with it (or only publishes, when
it had worked), --abandon forgets it. All signers must be at hand: such a rotation waits for nobody.
${WAITING_HELP}

  lapse rotate payments/db-password --generate 32
  lapse rotate payments/tls-key --file server.key
  lapse rotate payments/db-password --generate 32 --exec ./set-password.sh -- --user app
  lapse rotate payments/db-password --resume`,
    )
    .action((name: string, words: readonly string[], options: RotateOptions) =>
      run((context) => rotate(context, name, words, options)),
    );
};

async function rotate(
  context: Context,
  text: string,
  words: readonly string[],
  options: RotateOptions,
): Promise<void> {
  const reference = parseOwnSecret(text);
  checkWords(words, options);
  if (options.abandon === true) return abandon(context, reference, text, options);
  const source = valueSource(options);
  const execMs = parseSeconds(options.execTimeout, '--exec-timeout', 1, 3600) * 1000;
  const session = await Session.open(context);
  // Before anybody is asked for a value: there must be something to rotate.
  const { newestVersion } = secretOf(
    secretsOf(session.state, reference.namespace),
    reference.namespace,
    reference.name,
  );
  const begun = await loadRotation(context.directory, reference);
  checkBegun(begun, text, options.resume === true);
  const value = begun ? await openRotation(session, begun) : await readValue(source, context.input);
  try {
    const command = options.exec === undefined ? begun?.command : [options.exec, ...words];
    if (command) {
      await session.readyAlone(reference.namespace, EXEC_ALONE);
      const rotation = begun ?? (await beginRotation(session, reference, newestVersion + 1, value, command));
      await changed(context, rotation, value, execMs);
    }
    await publishValue(context, session, reference, text, value, options);
  } finally {
    value.fill(0);
  }
}

/** Makes the value known outside, unless that was done before; what is known of it is on the disk at each step. */
async function changed(
  context: Context,
  rotation: Rotation,
  value: Uint8Array,
  execMs: number,
): Promise<void> {
  const { directory, clock, output } = context;
  const { reference, command, state } = rotation;
  const name = `${reference.namespace}/${reference.name}`;
  if (state === 'changed') return;
  await saveRotation(directory, rotation);
  const zero = clock.boot();
  try {
    await changeOutside(command, value, execMs, context);
  } catch (error) {
    if (!(error instanceof ExternalFailure) || error.hasRun) {
      output.progress(
        `Nothing is published; the new value is kept, sealed: lapse rotate ${name} --resume, or --abandon`,
      );
      throw error;
    }
    await forgetRotation(directory, reference);
    throw error;
  }
  await saveRotation(directory, { ...rotation, state: 'changed' });
  output.early(`${command[0] ?? ''} exited 0 after ${Math.round(clock.boot() - zero)} ms.`);
}

async function publishValue(
  context: Context,
  session: Session,
  reference: SecretReference,
  text: string,
  value: Uint8Array,
  options: RotateOptions,
): Promise<void> {
  const { namespace, name } = reference;
  const terms = {
    grants: [],
    overlapSeconds: parseOverlap(options.overlap),
    whenStale: parseStale(options.whenStale),
  };
  let made: readonly NewVersion[] = [];
  const change: Change = {
    namespace,
    role: namespace,
    names: [name],
    options: parseWait(options),
    said: (ms) => [
      ...made.map(({ version }) => `${versionName(reference, version)} is published, after ${ms} ms.`),
      ...droppedLines(made),
    ],
    published: () => forgetRotation(context.directory, reference),
  };
  await session.recipients(policyOf(session.state, namespace));
  const outcome = await publishConfirmed(context, session, change, async (state, watch) => {
    secretOf(secretsOf(state, namespace), namespace, name);
    const added = await addVersions(session, state, watch, namespace, [{ name, value, terms }]);
    made = added.made;
    return added.edit;
  });
  report(context, outcome, change, { secret: text, version: made[0]?.version ?? 0 });
}

async function abandon(
  { directory, output }: Context,
  reference: SecretReference,
  text: string,
  { yes = false }: RotateOptions,
): Promise<void> {
  const rotation = await loadRotation(directory, reference);
  if (!rotation) throw new ClientError('rotation-unknown', `no rotation of ${text} was broken off here`);
  const [command = ''] = rotation.command;
  const what =
    rotation.state === 'changed'
      ? `${command} has set the new value, and readers have the old one.`
      : `${command} may have set the new value.`;
  await confirm(`${what} Forget that value for good?`, yes);
  await forgetRotation(directory, reference);
  output.result([`The rotation of ${text} is abandoned; its value is gone.`], {
    secret: text,
    abandoned: true,
  });
}

function checkWords(words: readonly string[], options: RotateOptions): void {
  if (words.length > 0 && options.exec === undefined) {
    throw new ClientError('usage', 'what stands after -- belongs to --exec COMMAND');
  }
  const begun = options.resume === true || options.abandon === true;
  const others = [options.exec, options.file, options.generate].some((option) => option !== undefined);
  if ((begun && others) || (options.resume === true && options.abandon === true)) {
    throw new ClientError(
      'usage',
      '--resume and --abandon go with neither each other, nor a value or --exec',
    );
  }
}

/** @throws ClientError rotation-unfinished, rotation-unknown */
function checkBegun(begun: Rotation | undefined, text: string, resume: boolean): void {
  if (begun && !resume) {
    throw new ClientError(
      'rotation-unfinished',
      `a rotation of ${text} was broken off; run: lapse rotate ${text} --resume, or --abandon`,
    );
  }
  if (!begun && resume)
    throw new ClientError('rotation-unknown', `no rotation of ${text} was broken off here`);
}

function valueSource({ file, generate }: RotateOptions): ValueSource {
  if (generate === undefined) return file === undefined ? {} : { file };
  if (file !== undefined) throw new ClientError('usage', 'give either --file or --generate');
  return { generate: parseCount(generate, '--generate', 16, 1024) };
}
