// `lapse namespace`: a namespace is one team's part of the realm.
import type { Register } from '../command.ts';
import { registerNamespaceAdd } from './namespace-add.ts';
import { registerNamespaceSet } from './namespace-set.ts';

export const registerNamespace: Register = (program, run) => {
  const namespace = program.command('namespace').summary('add and change namespaces, one per team');
  registerNamespaceAdd(namespace, run);
  registerNamespaceSet(namespace, run);
};
