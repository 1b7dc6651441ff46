// The invitations that this operator made and that are not used up, each a file of mode 0600 in the realm directory. An
// invitation lets one host in: before anything is signed with it, its file takes the name of the host's key, and from then on
// it is good for that key alone, so that a run that was broken off can go on. When the host is in, the file goes.
//
//   invite.ID            not used yet        invite.ID.KID        used for the host with that key
import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import type { PoolName, RealmId } from '../../manifest/names.ts';
import { isLapseError } from '../../manifest/errors.ts';
import {
  INVITE_ID_BYTES,
  INVITE_SECRET_BYTES,
  checkJoin,
  encodeInvite,
  parseInvite,
} from '../../manifest/realm/invite.ts';
import type { Invite, JoinRequest } from '../../manifest/realm/invite.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import { ClientError } from '../errors.ts';
import type { RealmConfig, RealmDirectory } from './realm-directory.ts';

const NAME = /^invite\.([0-9a-f]{32})(?:\.([A-Za-z0-9_-]{43}))?$/;
const MOST = 1024;

interface Kept {
  readonly file: string;
  readonly invite: Invite;
  /** Thumbprint of the signing key that it was used for. */
  readonly usedFor: string | undefined;
}

export class Invitations {
  readonly #directory: RealmDirectory;
  readonly #realm: RealmId;

  constructor(directory: RealmDirectory, realm: RealmId) {
    this.#directory = directory;
    this.#realm = realm;
  }

  /** The line for the host; the caller zeroes it. `expires` in milliseconds since the epoch. */
  async make(
    { service, pin }: RealmConfig,
    pools: readonly PoolName[],
    expires: number,
  ): Promise<{ id: string; line: Buffer }> {
    if ((await this.#all()).length >= MOST) {
      throw new ClientError(
        'usage',
        `there are ${MOST} invitations already; approve them, or let them expire`,
      );
    }
    const id = randomBytes(INVITE_ID_BYTES).toString('hex');
    const secret = randomBytes(INVITE_SECRET_BYTES);
    const invite = {
      service,
      ...(pin === undefined ? {} : { pin }),
      realm: this.#realm,
      id,
      secret,
      pools,
      expires,
    };
    const line = encodeInvite(invite);
    secret.fill(0);
    await this.#directory.write(`invite.${id}`, line);
    return { id, line };
  }

  /**
   * Whether a request was made with one of these invitations, whole, and in time.
   * @throws ClientError join-unknown; ManifestError join-refused, invite-expired
   */
  async check(request: JoinRequest, now: number): Promise<void> {
    const kept = await this.#find(request);
    // What was used for this very key while it was good goes on.
    checkJoin(request, kept.invite, kept.usedFor === undefined ? now : 0);
  }

  /** From now on the invitation is good for this key alone. */
  async use(request: JoinRequest): Promise<void> {
    const { file, usedFor } = await this.#find(request);
    const kid = thumbprint(request.signing);
    if (usedFor === undefined) {
      await rename(this.#directory.file(file), this.#directory.file(`invite.${request.id}.${kid}`));
    }
  }

  async burn({ id }: JoinRequest): Promise<void> {
    for (const { file, invite } of await this.#all()) {
      if (invite.id === id) await this.#directory.remove(file);
    }
  }

  /** Removes what nobody used in time, and what was used for one of these keys, which is a member's. */
  async sweep(now: number, members: ReadonlySet<string>): Promise<void> {
    for (const { file, invite, usedFor } of await this.#all()) {
      const isOver = usedFor === undefined ? invite.expires <= now : members.has(usedFor);
      if (isOver) await this.#directory.remove(file);
    }
  }

  async #find(request: JoinRequest): Promise<Kept> {
    const kid = thumbprint(request.signing);
    const kept = (await this.#all()).find(({ invite }) => invite.id === request.id);
    if (kept && (kept.usedFor ?? kid) === kid) return kept;
    throw new ClientError(
      'join-unknown',
      `the request of ${request.name} names no invitation that is open here`,
    );
  }

  async #all(): Promise<readonly Kept[]> {
    const kept: Kept[] = [];
    for (const file of (await readdir(this.#directory.path)).sort()) {
      const usedFor = NAME.exec(file)?.[2];
      const line = NAME.test(file) ? await this.#directory.read(file) : undefined;
      if (!line) continue;
      try {
        kept.push({ file, invite: parseInvite(line), usedFor });
      } catch (cause) {
        if (!isLapseError(cause)) throw cause;
        throw new ClientError('realm-directory-malformed', `${this.#directory.file(file)} is no invitation`);
      }
    }
    return kept;
  }
}
