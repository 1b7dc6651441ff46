// `lapse lock`: ends what `lapse unlock` began.
import type { Register } from '../command.ts';

export const registerLock: Register = (program, run) => {
  program
    .command('lock')
    .summary('forget what was unlocked')
    .description(
      'Ends the process that holds unlocked identities of this directory; in the shell, what it holds, too.',
    )
    .action(() =>
      run(async ({ output, identities }) => {
        const locked = await identities.lock();
        output.result([locked ? 'Locked.' : 'Nothing was unlocked.'], { locked });
      }),
    );
};
