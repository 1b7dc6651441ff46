// `lapse drill`: to practise the worst case, and to look at what came of it. Each command has a file of its own.
import type { Register } from '../command.ts';
import { registerDrillEnable } from './drill-enable.ts';
import { registerDrillEnd } from './drill-end.ts';
import { registerDrillHistory } from './drill-history.ts';
import { registerDrillKinds } from './drill-kinds.ts';
import { registerDrillVerify } from './drill-verify.ts';

export const registerDrill: Register = (program, run) => {
  const drill = program.command('drill').summary('practise the worst case, and measure it');
  registerDrillEnable(drill, run);
  registerDrillKinds(drill, run);
  registerDrillEnd(drill, run);
  registerDrillHistory(drill, run);
  registerDrillVerify(drill, run);
};
