// `lapse root`: who decides about the realm, and with which keys the service signs.
import type { Register } from '../command.ts';
import { registerRootChange } from './root-change.ts';
import { registerRootExtend } from './root-extend.ts';
import { registerRootPublish, registerRootSign } from './root-file.ts';
import { registerRootRotateOnline } from './root-rotate-online.ts';
import { registerRootShow } from './root-show.ts';

export const registerRoot: Register = (program, run) => {
  const root = program.command('root').summary('show and change who decides about the realm');
  registerRootShow(root, run);
  registerRootChange(root, run);
  registerRootExtend(root, run);
  registerRootRotateOnline(root, run);
  registerRootSign(root, run);
  registerRootPublish(root, run);
};
