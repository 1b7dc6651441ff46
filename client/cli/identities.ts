// The identities at hand: the files of the realm directory, those named by --identity, and what the agent holds. Public
// halves can be had for nothing; a private one is unlocked when a command first needs it, and kept until the end.
// Agent before passphrase; one passphrase is tried on several identities before anybody is asked again.
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { isLapseError } from '../../manifest/errors.ts';
import type { LapseError } from '../../manifest/errors.ts';
import type { KeyId } from '../../manifest/tuf/keys.ts';
import type { Clock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { AgentClient } from '../identity/agent/agent-client.ts';
import type { Unlocked } from '../identity/agent/agent-client.ts';
import { createIdentityFile, readIdentityFile, resealIdentityFile } from '../identity/identity-file.ts';
import type { IdentityFile } from '../identity/identity-file.ts';
import { PRIVATE_BYTES, holdIdentity, parseIdentityName } from '../identity/identity.ts';
import type { Identity, PublicIdentity, PublicKeys } from '../identity/identity.ts';
import { isPublicLine, parsePublicLine } from '../identity/public-line.ts';
import type { Passphrases } from './passphrase.ts';
import type { RealmDirectory } from './realm-directory.ts';

const SUFFIX = '.identity';
const MOST = 256;
const ATTEMPTS = 3;

/** An identity at hand. */
export interface KnownIdentity extends PublicIdentity {
  /** Absent when only the agent has it. */
  readonly file: IdentityFile | undefined;
  /** For how many more seconds the agent holds it; absent when it does not. */
  readonly unlockedSeconds: number | undefined;
}

export interface AtHand {
  readonly identities: readonly KnownIdentity[];
  /** Files that are no identities, or that others can read. */
  readonly failures: readonly LapseError[];
}

export class Identities implements AsyncDisposable {
  readonly #directory: RealmDirectory;
  /** Paths of files outside the directory. */
  readonly #more: readonly string[];
  readonly #passphrases: Passphrases;
  readonly #clock: Clock;
  readonly #opened = new Map<KeyId, Identity>();

  constructor(directory: RealmDirectory, more: readonly string[], passphrases: Passphrases, clock: Clock) {
    this.#directory = directory;
    this.#more = more;
    this.#passphrases = passphrases;
    this.#clock = clock;
  }

  async list(): Promise<AtHand> {
    const agent = await this.agent();
    const unlocked = new Map((await agent.list()).map((held) => [held.identity.keyid, held]));
    const found = new Map<KeyId, KnownIdentity>();
    const failures: LapseError[] = [];
    for (const path of await this.#paths()) {
      try {
        const file = await readIdentityFile(path);
        const { keyid } = file.keys;
        const name = basename(path, SUFFIX);
        found.set(keyid, { name, ...file.keys, file, unlockedSeconds: unlocked.get(keyid)?.seconds });
      } catch (error) {
        if (!isLapseError(error)) throw error;
        failures.push(error);
      }
    }
    for (const [keyid, held] of unlocked) if (!found.has(keyid)) found.set(keyid, onlyInAgent(held));
    return { identities: [...found.values()], failures };
  }

  /** @throws ClientError identity-unknown, or why its file cannot be used */
  async find(name: string): Promise<KnownIdentity> {
    const { identities, failures } = await this.list();
    const known = identities.find((identity) => identity.name === name);
    if (known) return known;
    const path = this.#directory.identity(parseIdentityName(name));
    throw (
      failures.find((error) => error.message.includes(path)) ??
      new ClientError('identity-unknown', `there is no identity ${name}; run: lapse identity list`)
    );
  }

  /**
   * Those whose signing key is one of these, what is unlocked or unprotected first; empty when there is none.
   * @throws LapseError when there is none, and a file that might be one cannot be used
   */
  async among(keyids: Iterable<KeyId>): Promise<readonly KnownIdentity[]> {
    const wanted = new Set(keyids);
    return this.#matching(({ keyid }) => wanted.has(keyid));
  }

  /** The same, by the thumbprint of the decryption key. */
  async decryptors(kids: Iterable<string>): Promise<readonly KnownIdentity[]> {
    const wanted = new Set(kids);
    return this.#matching(({ kid }) => wanted.has(kid));
  }

  /** @throws ClientError identity-locked, passphrase-wrong, passphrase-missing */
  async open(known: KnownIdentity): Promise<Identity> {
    const before = this.#opened.get(known.keyid);
    if (before) return before;
    // Not kept: the agent may end, and then somebody can be asked.
    if (known.unlockedSeconds !== undefined) return (await this.agent()).identity(known);
    const secret = await this.secret(known);
    try {
      const opened = holdIdentity(known.name, secret);
      this.#opened.set(known.keyid, opened);
      return opened;
    } finally {
      secret.fill(0);
    }
  }

  /** Everybody of them who is unlocked already, and as many more as are `needed`. */
  async openSome(known: readonly KnownIdentity[], needed: number): Promise<readonly Identity[]> {
    const opened: Identity[] = [];
    for (const one of known) {
      const isOpen = one.unlockedSeconds !== undefined || one.file?.isProtected === false;
      if (isOpen || opened.length < needed) opened.push(await this.open(one));
    }
    return opened;
  }

  /** The public half that a name or a public line stands for. @throws ClientError identity-unknown, public-line-invalid */
  async publicOf(nameOrLine: string): Promise<PublicKeys> {
    return isPublicLine(nameOrLine) ? parsePublicLine(nameOrLine) : this.find(nameOrLine);
  }

  /** The bytes of the private halves, which the caller zeroes: for the agent, and to seal them anew. */
  async secret(known: KnownIdentity): Promise<Uint8Array> {
    const file = fileOf(known);
    if (!file.isProtected) return file.open(Buffer.alloc(0));
    for (const passphrase of this.#passphrases.given) {
      const secret = await tryOpen(file, passphrase);
      if (secret) return secret;
    }
    for (let attempt = 1; ; attempt++) {
      const passphrase = await this.#passphrases.known(known.name, attempt > 1);
      const secret = await tryOpen(file, passphrase);
      if (secret) return secret;
      if (!this.#passphrases.canAskAgain || attempt === ATTEMPTS) {
        throw new ClientError('passphrase-wrong', `this passphrase does not open ${file.path}`);
      }
    }
  }

  /**
   * For identities that are about to be made, one for all of them, or sealed anew; from a descriptor of its own if there is one.
   * @throws ClientError passphrase-missing
   */
  newPassphrase(purpose: string, descriptor?: number): Promise<Buffer> {
    return this.#passphrases.fresh(purpose, descriptor);
  }

  /**
   * Seals the file of an identity under what `choose` gives, which is asked after the old passphrase; undefined leaves it open to
   * whoever can read it.
   * @throws ClientError identity-unknown, identity-locked, passphrase-wrong, passphrase-missing
   */
  async reseal(known: KnownIdentity, choose: () => Promise<Buffer | undefined>): Promise<void> {
    const secret = await this.secret(known);
    try {
      await resealIdentityFile(fileOf(known).path, secret, await choose());
    } finally {
      secret.fill(0);
    }
  }

  /**
   * Makes an identity in the realm directory, and holds it unlocked for the run. Without a passphrase, which must have
   * been asked for in so many words, its file is open to whoever can read it.
   * @throws ClientError identity-exists, usage
   */
  async create(name: string, passphrase: Buffer | undefined): Promise<KnownIdentity> {
    const path = this.#directory.identity(parseIdentityName(name));
    const secret = randomBytes(PRIVATE_BYTES);
    try {
      const { keyid } = await createIdentityFile(path, secret, passphrase);
      this.#opened.set(keyid, holdIdentity(name, secret));
    } finally {
      secret.fill(0);
    }
    const file = await readIdentityFile(path);
    return { name, ...file.keys, file, unlockedSeconds: undefined };
  }

  /** Reads a given descriptor now: what follows on it is for others. */
  prefetch(): Promise<void> {
    return this.#passphrases.prefetch();
  }

  agent(): Promise<AgentClient> {
    return AgentClient.of(this.#directory.path, this.#clock);
  }

  /** Forgets what is unlocked, here and in the agent; false when nothing was. */
  async lock(): Promise<boolean> {
    const hadSome = this.#opened.size > 0;
    await this[Symbol.asyncDispose]();
    return (await (await this.agent()).lock()) || hadSome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const identity of this.#opened.values()) await identity[Symbol.asyncDispose]();
    this.#opened.clear();
    this.#passphrases[Symbol.dispose]();
  }

  async #matching(isWanted: (identity: KnownIdentity) => boolean): Promise<readonly KnownIdentity[]> {
    const { identities, failures } = await this.list();
    const matching = identities.filter(isWanted);
    if (matching.length === 0 && failures[0]) throw failures[0];
    const isReady = (identity: KnownIdentity): boolean =>
      identity.unlockedSeconds !== undefined ||
      identity.file?.isProtected === false ||
      this.#opened.has(identity.keyid);
    return [...matching.filter(isReady), ...matching.filter((identity) => !isReady(identity))];
  }

  async #paths(): Promise<readonly string[]> {
    const directory = this.#directory.file('identities');
    const names = await readdir(directory).catch(() => []);
    const own = names.filter((name) => name.endsWith(SUFFIX)).sort();
    return [...this.#more, ...own.slice(0, MOST).map((name) => this.#directory.file('identities', name))];
  }
}

/** @throws ClientError identity-unknown */
function fileOf({ name, file }: KnownIdentity): IdentityFile {
  if (file) return file;
  throw new ClientError('identity-unknown', `${name} has no file here`);
}

async function tryOpen(file: IdentityFile, passphrase: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    return await file.open(passphrase);
  } catch (error) {
    if (error instanceof ClientError && error.code === 'passphrase-wrong') return undefined;
    throw error;
  }
}

function onlyInAgent({ identity, seconds }: Unlocked): KnownIdentity {
  return { ...identity, file: undefined, unlockedSeconds: seconds };
}
