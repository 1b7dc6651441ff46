// `lapse host`: the machines that serve. Each command has a file of its own.
import type { Register } from '../command.ts';
import { registerApprove } from './host-approve.ts';
import { registerInvite } from './host-invite.ts';
import { registerHostList } from './host-list.ts';
import { registerRemove } from './host-remove.ts';

export const registerHost: Register = (program, run) => {
  const host = program.command('host').summary('invite, approve, list and remove hosts');
  registerInvite(host, run);
  registerApprove(host, run);
  registerHostList(host, run);
  registerRemove(host, run);
};
