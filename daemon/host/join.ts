// Joining a realm: with an invitation, which came by a trusted way, this machine makes its keys, asks to be a member and
// waits until the fleet lists it with exactly these keys. The service only carries the request: it can neither alter it nor
// answer it, and if a host of this name appears with other keys, that is said loudly. What was interrupted is gone on
// with by the next run, with the same keys.
import type { Clock } from '../../client/clock.ts';
import { ClientError } from '../../client/errors.ts';
import type { ServiceAddress } from '../../client/http.ts';
import { httpTransport } from '../../client/transport.ts';
import type { Transport } from '../../client/transport.ts';
import { TrustStore } from '../../client/trust-store.ts';
import { Updater } from '../../client/updater.ts';
import { ManifestError, isLapseError } from '../../manifest/errors.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { parseHostName } from '../../manifest/names.ts';
import type { HostName } from '../../manifest/names.ts';
import { isRemoved } from '../../manifest/realm/fleet.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import { joinRequest, parseInvite } from '../../manifest/realm/invite.ts';
import type { Invite } from '../../manifest/realm/invite.ts';
import { realmId } from '../../manifest/realm/realm.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';
import { DaemonError } from '../errors.ts';
import { readHostFile, trustDirectory, writeHostFile } from './host-file.ts';
import { ensureHostKeys } from './host-keys.ts';
import type { HostKeyPair } from './host-keys.ts';

/** How often it is looked whether the request was approved, in milliseconds. */
const LOOK_MS = 500;

export interface JoinOptions {
  /** The state directory. */
  readonly state: string;
  readonly name: HostName;
  /** Milliseconds to wait for the approval; absent: until the invitation expires. 0: not at all. */
  readonly patienceMs?: number;
  readonly clock: Clock;
  /** Told once, when the request was posted: the thumbprints that whoever approves it is shown. */
  readonly onAsked: (asked: { readonly signing: string; readonly encryption: string }) => void;
}

/** A host name out of whatever this machine is called. */
export function fittingName(hostname: string): HostName {
  const fitting = hostname
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return parseHostName(fitting === '' ? 'host' : fitting);
}

/**
 * `line` is the invitation; it is zeroed here. Resolves with whether this host is a member now.
 * @throws ManifestError invite-malformed, invite-expired; DaemonError host-joined, host-name-taken, host-keys-swapped,
 *   invite-used, realm-mismatch, join-unanswered, host-unreadable, host-unwritable; and what following the realm throws
 */
export async function join(line: Buffer, options: JoinOptions): Promise<boolean> {
  const invite = readInvite(line);
  try {
    return await joinWith(invite, options);
  } finally {
    invite.secret.fill(0);
  }
}

function readInvite(line: Buffer): Invite {
  try {
    return parseInvite(line);
  } finally {
    line.fill(0);
  }
}

async function joinWith(
  invite: Invite,
  { state, name, patienceMs, clock, onAsked }: JoinOptions,
): Promise<boolean> {
  await checkState(state, invite);
  const transport = httpTransport(addressOf(invite), clock);
  const root = await fetchRoot(transport, invite);
  const keys = await ensureHostKeys(state);
  const fleet = await Fleet.follow(transport, root, state, clock);
  const isMember = (): Promise<boolean> => fleet.lists(name, keys);
  const finish = (): Promise<void> =>
    writeHostFile(state, { service: addressOf(invite), realm: invite.realm, name }, root);
  fleet.checkNew(name, keys);
  if (await isMember()) {
    await finish();
    return true;
  }
  if (invite.expires <= clock.now())
    throw new ManifestError('invite-expired', 'the invitation has expired; ask for another one');
  await post(transport, invite, name, keys);
  await finish();
  onAsked({ signing: keys.kid, encryption: thumbprint(keys.encryption) });
  if (patienceMs === 0) return isMember();
  const end = clock.boot() + Math.min(patienceMs ?? Infinity, invite.expires - clock.now());
  for (;;) {
    if (await isMember()) return true;
    if (clock.boot() >= end) {
      throw new DaemonError(
        'join-unanswered',
        `nobody approved ${name} in time; it goes on with the same keys when you join again`,
      );
    }
    await clock.sleep(LOOK_MS);
  }
}

function addressOf({ service, pin }: Invite): ServiceAddress {
  return { url: service, ...(pin === undefined ? {} : { pin }) };
}

/** A machine is a host of one realm. */
async function checkState(state: string, invite: Invite): Promise<void> {
  const host = await readHostFile(state);
  if (!host || host.realm === invite.realm) return;
  throw new DaemonError(
    'host-joined',
    `${state} belongs to another realm, as ${host.name}; join with another --state, or move it away`,
  );
}

async function fetchRoot(transport: Transport, invite: Invite): Promise<Uint8Array> {
  const root = await transport.metadata('1.root.json', LIMITS.rootBytes);
  if (realmId(trustRoot(root).root) === invite.realm) return root;
  throw new DaemonError(
    'realm-mismatch',
    `the service at ${transport.url} has another realm than the invitation's`,
  );
}

async function post(transport: Transport, invite: Invite, name: HostName, keys: HostKeyPair): Promise<void> {
  const { signing, encryption } = keys;
  try {
    await transport.postJoin(joinRequest(invite, { name, signing, encryption, pools: invite.pools }));
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'service-conflict') throw error;
    const waiting = (await transport.joins()).find(({ id }) => id === invite.id);
    const isOwn = waiting?.signing.x === signing.x && waiting.encryption.x === encryption.x;
    if (isOwn && waiting.name === name) return;
    throw new DaemonError(
      'invite-used',
      `another request was made with this invitation${waiting ? `, as ${waiting.name}` : ''}; ask for another one, and find out by whom`,
    );
  }
}

/** The members of the fleet, as the realm is verified. */
class Fleet {
  readonly #updater: Updater;

  private constructor(updater: Updater) {
    this.#updater = updater;
  }

  static async follow(transport: Transport, anchor: Uint8Array, state: string, clock: Clock): Promise<Fleet> {
    const updater = await Updater.open({
      anchor,
      storeFor: (realm) => new TrustStore(trustDirectory(state), realm),
      transport,
      clock,
      wants: () => false,
    });
    await updater.refresh();
    await updater.persist();
    return new Fleet(updater);
  }

  /** @throws DaemonError host-joined: under another name; host-name-taken; ManifestError host-removed */
  checkNew(name: HostName, { kid, signing, encryption }: HostKeyPair): void {
    const { fleet, hosts } = this.#updater.state;
    const record = hosts.get(name);
    const own = [...hosts.values()].find((each) => each.kid === kid);
    if (fleet && isRemoved(fleet, name, kid)) {
      throw new ManifestError(
        'host-removed',
        `${name} was removed from the fleet with these keys; move the state directory away to join anew`,
      );
    }
    if (own && own.name !== name)
      throw new DaemonError('host-joined', `this machine is a member of that realm already, as ${own.name}`);
    if (record && !isSame(record, { signing, encryption }))
      throw new DaemonError(
        'host-name-taken',
        `the fleet has another host ${name}; join with another --name`,
      );
  }

  /** @throws DaemonError host-keys-swapped */
  async lists(name: HostName, keys: HostKeyPair): Promise<boolean> {
    const { hosts } = await this.#refreshed();
    const record = hosts.get(name);
    if (record && !isSame(record, keys)) {
      throw new DaemonError(
        'host-keys-swapped',
        `ALARM: the fleet lists ${name} with OTHER KEYS than this machine's ${keys.kid}. Somebody else was approved in its place: remove that host at once`,
      );
    }
    if (record) await this.#updater.persist();
    return record !== undefined;
  }

  /** While the service is away, what is known stands. */
  async #refreshed(): Promise<Updater['state']> {
    try {
      return await this.#updater.refresh();
    } catch (error) {
      if (!isLapseError(error) || error.code !== 'service-unreachable') throw error;
      return this.#updater.state;
    }
  }
}

function isSame(
  record: HostRecord,
  { signing, encryption }: Pick<HostKeyPair, 'signing' | 'encryption'>,
): boolean {
  return record.signing.x === signing.x && record.encryption.x === encryption.x;
}
