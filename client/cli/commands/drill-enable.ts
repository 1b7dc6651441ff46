// `lapse drill enable`: delegates the namespace in which drills are practised, once. Hosts take part when their own operators
// have let them.
import { DRILL } from '../../../manifest/realm/drill/order.ts';
import { ClientError } from '../../errors.ts';
import type { Register } from '../command.ts';
import { WHO, withTermsOptions } from '../namespace-terms.ts';
import type { TermsOptions } from '../namespace-terms.ts';
import { addNamespace } from './namespace-add.ts';

export const registerDrillEnable: Register = (drill, run) => {
  withTermsOptions(drill.command('enable'), (usual) => `default: ${usual}`)
    .option('--no-revoker', 'only signers can take back')
    .summary('let this realm practise')
    .description(
      'Delegates the namespace drill to its signers. Needs the root identity, which signs targets.',
    )
    .addHelpText(
      'after',
      `${WHO}
Whoever signs it can order drills, and nothing else. A host takes part when its lapsed.toml says drill = "on",
or "crash" to be struck as well.

  lapse drill enable
  lapse drill enable --pool web --lease 10s`,
    )
    .action((options: TermsOptions) =>
      run(async (context) => {
        if (options.whenStaleServe === true)
          throw new ClientError(
            'usage',
            'a drill shows that access ends with the lease: no --when-stale-serve',
          );
        await addNamespace(context, DRILL, options, 'lapse drill revoke --dry-run');
      }),
    );
};
