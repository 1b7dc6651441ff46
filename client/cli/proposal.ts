// A change that waits for signatures, as this machine sees it: fetched, verified against its own verified realm as if it had
// been published, and told in words. What the service says of it is believed as little as anything else.
import type { JsonObject } from '../../manifest/json.ts';
import type { Namespace } from '../../manifest/names.ts';
import { FLEET, FLEET_HOSTS } from '../../manifest/realm/realm.ts';
import { asVerified, missingOf, proposalId, readProposal, signersOf } from '../../manifest/realm/proposal.ts';
import type { ProposedRole } from '../../manifest/realm/proposal.ts';
import { formatInstant } from '../../manifest/shape.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { RealmState } from '../reading.ts';
import { fleetLines, hostLines } from './diff/fleet.ts';
import { unknownLines } from './diff/members.ts';
import { peopleLines, signatoryLines } from './diff/people.ts';
import type { NameOf } from './diff/people.ts';
import { secretLines } from './diff/secrets.ts';
import type { Identities } from './identities.ts';
import type { Session } from './session.ts';

const ID = /^[0-9a-f]{8,64}$/;

export interface Proposal {
  readonly id: string;
  /** When it came, as the service says; milliseconds since the epoch. */
  readonly at: number;
  readonly roles: readonly ProposedRole[];
  /** The realm as it is, and as it would be. */
  readonly before: RealmState;
  readonly after: RealmState;
}

/**
 * `text` is an id, or how one of those that wait begins.
 * @throws ClientError usage, pending-unknown, pending-mismatch; LapseError: what is wrong with it
 */
export async function openProposal(session: Session, text: string): Promise<Proposal> {
  const id = await idOf(session, text);
  const { at, roles: uploads } = await fetched(session, id);
  const { state, clock } = session;
  const roles = readProposal(state.set, uploads, clock.now());
  if (proposalId(roles) !== id) {
    throw new ClientError('pending-mismatch', `the service gave another change than ${text}`);
  }
  return { id, at, roles, before: state, after: session.updater.imagine(roles) };
}

/** What it does, in words; at least one line for each role. */
export function changeLines(proposal: Proposal, nameOf: NameOf, now: number): readonly string[] {
  return proposal.roles.flatMap((proposed) => {
    const { name, role } = proposed;
    const lines = [
      ...wordsFor(proposal, proposed, nameOf, now),
      ...unknownLines(name, rawOf(proposal.before, name), proposed.file.raw),
    ];
    const until = `${name} ${role.version} is good until ${formatInstant(role.expires)}`;
    return lines.length > 0 ? [...lines, until] : [`${name} is signed again as it is`, until];
  });
}

/** Who has signed each role, and how many must. */
export function signatureLines({ roles }: Proposal, nameOf: NameOf): readonly string[] {
  return roles.map((role) => {
    const who = signersOf(role).map(nameOf).join(', ');
    const missing = missingOf(role);
    return `${role.name} ${role.role.version}: signed by ${who}; ${missing === 0 ? 'nobody' : missing} missing`;
  });
}

export function proposalJson({ id, at, roles }: Proposal, changes: readonly string[]): JsonObject {
  return {
    id,
    at,
    roles: roles.map((role) => ({
      name: role.name,
      version: role.role.version,
      threshold: role.keys.threshold,
      signed: signersOf(role),
      missing: missingOf(role),
    })),
    changes,
  };
}

/** Calls a key by the identity at hand that has it, else by how its id begins. */
export async function keyNames(identities: Identities): Promise<NameOf> {
  const { identities: known } = await identities.list();
  const names = new Map(known.map(({ keyid, name }) => [keyid, name]));
  return (keyid) => names.get(keyid) ?? keyid.slice(0, 12);
}

async function idOf(session: Session, text: string): Promise<string> {
  if (!ID.test(text)) throw new ClientError('usage', 'an id has 8 to 64 digits; see: lapse pending');
  if (text.length === 64) return text;
  const [only, ...others] = (await session.transport.pending()).filter(({ id }) => id.startsWith(text));
  if (others.length > 0)
    throw new ClientError('usage', `several changes begin with ${text}; give more of it`);
  if (only) return only.id;
  throw unknown(text);
}

async function fetched(session: Session, id: string) {
  try {
    return await session.transport.pendingChange(id);
  } catch (error) {
    if (error instanceof ClientError && error.code === 'not-found') throw unknown(id);
    throw error;
  }
}

export function unknown(id: string): ClientError {
  const why = 'it was made, or superseded, or its 7 days are over';
  return new ClientError('pending-unknown', `no change ${id} waits; ${why}; see: lapse pending`);
}

function wordsFor(
  { before, after }: Proposal,
  proposed: ProposedRole,
  nameOf: NameOf,
  now: number,
): readonly string[] {
  const { name } = proposed;
  const current = currentRole(before.set, name);
  if (name === 'targets') return current ? peopleLines(current, asVerified(proposed), nameOf) : [];
  if (name === FLEET) {
    const [old, next] = [current?.role, proposed.role].map((role) => role?.delegations.get(FLEET_HOSTS));
    return [
      ...signatoryLines(FLEET_HOSTS, old, next, nameOf),
      ...(after.fleet ? fleetLines(before.fleet, after.fleet) : []),
    ];
  }
  if (name === FLEET_HOSTS) return hostLines(before.hosts, after.hosts);
  const namespace = name.replace(/-revoker$/, '') as Namespace;
  const [secrets, policy] = [after.secrets.get(namespace), after.policies.get(namespace)?.policy];
  return secrets && policy ? secretLines(before.secrets.get(namespace), secrets, policy, now) : [];
}

function rawOf({ set }: RealmState, name: string): JsonObject {
  return currentRole(set, name)?.raw ?? {};
}
