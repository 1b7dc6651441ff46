// `lapse drill`: to practise the worst case, and to look at what came of it. Each command has a file of its own.
import type { Register } from '../command.ts';
import { registerDrillHistory } from './drill-history.ts';
import { registerDrillVerify } from './drill-verify.ts';

export const registerDrill: Register = (program, run) => {
  const drill = program.command('drill').summary('practise the worst case, and measure it');
  registerDrillHistory(drill, run);
  registerDrillVerify(drill, run);
};
