// `lapse root extend`: the next root as it is, with a later expiry.
import type { Register } from '../command.ts';
import { makeRoot, withMakingOptions } from '../root-signing.ts';
import type { MakingOptions } from '../root-signing.ts';

export const registerRootExtend: Register = (root, run) => {
  withMakingOptions(
    root
      .command('extend')
      .summary('sign root again, before it expires')
      .description(
        'Makes the next root, unchanged, good for another year. When root has expired, nobody serves anything.',
      ),
  )
    .addHelpText('after', '\n  lapse root extend\n  lapse root extend --expired')
    .action((options: MakingOptions) => run((context) => makeRoot(context, options, () => ({}))));
};
