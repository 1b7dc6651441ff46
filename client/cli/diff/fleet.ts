// What a change of `fleet` and `fleet-hosts` does, in words: pools and their keys, removals, and the hosts with theirs.
import type { Fleet, Pool } from '../../../manifest/realm/fleet.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import type { RealmState } from '../../reading.ts';
import { listed } from '../confirmation.ts';

export function fleetLines(before: Fleet | undefined, after: Fleet): readonly string[] {
  const removed = new Set(before?.removals.map(({ host, kid }) => `${host} ${kid}`));
  const people = ({ custodians }: Fleet): string => custodians.map(({ kid }) => kid.slice(0, 12)).join(', ');
  return [
    ...(before && people(before) !== people(after)
      ? [`Custodians of the pools: ${people(after)}; before: ${people(before)}`]
      : []),
    ...[...after.pools.values()].flatMap((pool) => poolLines(before?.pools.get(pool.name), pool)),
    ...after.removals
      .filter(({ host, kid }) => !removed.has(`${host} ${kid}`))
      .map(({ host, kid }) => `Host ${host} is REMOVED (signing key ${kid.slice(0, 12)})`),
  ];
}

export function hostLines(before: RealmState['hosts'], after: RealmState['hosts']): readonly string[] {
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const rewritten = [...after.values()].filter((host) => {
    const old = before.get(host.name);
    return old?.keyring.sha256 !== host.keyring.sha256 && old && wordsOf(old) === wordsOf(host);
  });
  return [
    ...gone.map((name) => `Host ${name} is no longer listed`),
    ...[...after.values()].flatMap((host) => {
      const old = before.get(host.name);
      if (!old) return [`Host ${host.name} is LET IN: ${wordsOf(host)}`];
      return wordsOf(old) === wordsOf(host)
        ? []
        : [`Host ${host.name}: ${wordsOf(host)}; before: ${wordsOf(old)}`];
    }),
    ...(rewritten.length > 0
      ? [`Pool keys are written anew for ${listed(rewritten.map(({ name }) => name))}`]
      : []),
  ];
}

function poolLines(before: Pool | undefined, { name, epoch, epochs }: Pool): readonly string[] {
  const key = epochs.get(epoch)?.kid.slice(0, 12) ?? '';
  const dropped = [...(before?.epochs.keys() ?? [])].filter((number) => !epochs.has(number));
  return [
    ...(before ? [] : [`Pool ${name} is NEW, with the key ${key}`]),
    ...(before && before.epoch !== epoch ? [`Pool ${name} gets its key of epoch ${epoch}: ${key}`] : []),
    ...(dropped.length > 0 ? [`Pool ${name} forgets its keys of epochs ${dropped.join(', ')}`] : []),
  ];
}

function wordsOf({ pools, kid, encryption }: HostRecord): string {
  return `pools ${pools.join(', ')}, signing key ${kid}, encryption key ${encryption.x}`;
}
