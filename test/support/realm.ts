// A realm for tests: real keys, a real genesis, and publishes with real envelopes that a daemon could decrypt. It
// plays every author (root, targets, each namespace) and remembers what it last built, as their machines would.
// Nothing is sent from here: the caller publishes, and hostile tests alter a draft first.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '../../manifest/json.ts';
import {
  parseHostName,
  parseNamespace,
  parsePoolName,
  parseSecretName,
  parseWorkload,
} from '../../manifest/names.ts';
import type { PoolName, RealmId } from '../../manifest/names.ts';
import { addVersion, revokeThrough } from '../../manifest/realm/change.ts';
import { sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { Genesis, OnlineKeys, Publish } from '../../manifest/realm/exchange.ts';
import { genesisFleet, readFleet, recipientsOf, withEpoch, withRemoval } from '../../manifest/realm/fleet.ts';
import type { Fleet, PoolEpoch } from '../../manifest/realm/fleet.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { signHostToken } from '../../manifest/realm/host-token.ts';
import { encodeKeyring, withHost } from '../../manifest/realm/hosts.ts';
import type { HostKeys } from '../../manifest/realm/hosts.ts';
import { wrapKey } from '../../manifest/realm/key-wrap.ts';
import type { WhenStale } from '../../manifest/realm/policy.ts';
import { publicHalf, wrapPoolKey } from '../../manifest/realm/pool-key.ts';
import {
  delegateNamespace,
  firstRoot,
  firstTargets,
  genesisTargets,
  nextVersion,
  readRealm,
  realmId,
} from '../../manifest/realm/realm.ts';
import type { Signatories } from '../../manifest/realm/realm.ts';
import { importRecipient, recipientOf, thumbprint } from '../../manifest/realm/recipient.ts';
import type { Recipient, SigningKey } from '../../manifest/realm/recipient.ts';
import { withdrawGrant, withdrawThrough } from '../../manifest/realm/revoker.ts';
import { readSecrets } from '../../manifest/realm/secret.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { object } from '../../manifest/shape.ts';
import { ed25519KeyJson, keyId } from '../../manifest/tuf/keys.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import type { Signer, Verified } from '../../manifest/tuf/metadata.ts';
import type { TopLevelRole } from '../../manifest/tuf/root.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import type { Targets } from '../../manifest/tuf/targets.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';

export interface TestSigner extends Signer {
  readonly publicHex: string;
}

export interface TestPool extends Recipient {
  readonly name: PoolName;
  /** What the pool's hosts hold. */
  readonly privateKey: KeyObject;
  readonly raw: Uint8Array;
}

/** A machine that has joined: its record, its private keys, and what it would say who it is. */
export interface TestHost extends HostKeys {
  readonly kid: string;
  readonly signingKey: KeyObject;
  readonly encryptionKey: KeyObject;
  token(now?: number): Promise<string>;
}

/** A person. */
export interface TestPerson extends TestSigner {
  readonly recipient: Recipient;
  readonly decryptionKey: KeyObject;
}

export interface PutOptions {
  readonly value?: Uint8Array;
  readonly grants?: readonly Grant[];
  readonly overlapSeconds?: number;
  readonly whenStale?: WhenStale;
  /** Instead of whoever the policy names. */
  readonly recipients?: readonly Recipient[];
}

export interface DelegateOptions {
  readonly revoker?: boolean;
  readonly pools?: readonly string[];
  readonly leaseSeconds?: number;
  readonly whenStale?: WhenStale;
}

type RootKeys = Readonly<Record<TopLevelRole, Signatories>>;

const DAY = 24 * 3600_000;

export function makeSigner(): TestSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return signerOf(publicKey, privateKey);
}

function signerOf(publicKey: KeyObject, privateKey: KeyObject): TestSigner {
  const publicHex = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
  return {
    publicHex,
    keyid: keyId(ed25519KeyJson(publicHex)),
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}

export function makePerson(): TestPerson {
  const { privateKey } = generateKeyPairSync('x25519');
  return { ...makeSigner(), recipient: recipientOf(publicHalf(privateKey)), decryptionKey: privateKey };
}

export function makePool(name = 'default', epoch = 1): TestPool {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d = '' } = privateKey.export({ format: 'jwk' });
  const raw = Buffer.from(d, 'base64url');
  return { ...recipientOf(publicHalf(privateKey), epoch), name: parsePoolName(name), privateKey, raw };
}

export function makeHost(realm: RealmId, name: string, pools: readonly string[] = ['default']): TestHost {
  const signing = generateKeyPairSync('ed25519');
  const encryption = generateKeyPairSync('x25519');
  const { x = '' } = signing.publicKey.export({ format: 'jwk' });
  const key: SigningKey = { kty: 'OKP', crv: 'Ed25519', x };
  const host = parseHostName(name);
  const kid = thumbprint(key);
  return {
    name: host,
    pools: pools.map(parsePoolName),
    signing: key,
    kid,
    encryption: publicHalf(encryption.privateKey),
    signingKey: signing.privateKey,
    encryptionKey: encryption.privateKey,
    token: (now = Date.now()) =>
      signHostToken(
        { host, kid, realm, jti: randomBytes(16).toString('base64url') },
        signing.privateKey,
        now,
      ),
  };
}

export class TestRealm {
  readonly genesis: Genesis;
  readonly id: RealmId;
  /** Custodian of the fleet and of every namespace. */
  readonly person: TestPerson;
  readonly #signers = new Map<string, TestSigner>();
  /** What each role's author built last. */
  readonly #roles = new Map<string, Verified<Targets>>();
  /** Every epoch of every pool. */
  readonly #pools: TestPool[] = [];
  readonly hosts = new Map<string, TestHost>();
  readonly #now: number;
  #root: { readonly version: number; readonly keys: RootKeys };

  private constructor(
    genesis: Genesis,
    person: TestPerson,
    { root, targets }: { readonly root: TestSigner; readonly targets: TestSigner },
    pool: TestPool,
    keys: RootKeys,
    now: number,
  ) {
    this.genesis = genesis;
    this.id = realmId(trustRoot(genesis.root).root);
    this.person = person;
    this.#now = now;
    this.#root = { version: 1, keys };
    this.#pools.push(pool);
    for (const role of ['fleet', 'fleet-hosts']) this.#signers.set(role, person);
    this.#signers.set('root', root).set('targets', targets);
    for (const { name, metadata } of genesis.roles) this.#remember(name, metadata);
  }

  /** `online` as `GET /v1/online-keys` tells; `now` in milliseconds since the epoch. One pool, no host. */
  static async make(online: OnlineKeys, { now = Date.now(), lease = 600 } = {}): Promise<TestRealm> {
    const root = makeSigner();
    const targets = makeSigner();
    const person = makePerson();
    const one = (publicHex: string) => ({ signers: [publicHex], threshold: 1 });
    const keys = {
      root: one(root.publicHex),
      targets: one(targets.publicHex),
      snapshot: one(online.snapshot),
      timestamp: one(online.timestamp),
    };
    const rootFile = signMetadata(firstRoot(keys, now + 365 * DAY), [root]);
    const realm = realmId(trustRoot(rootFile).root);
    const pool = makePool();
    const fleetTerms = { ...one(person.publicHex), custodians: [person.recipient.key] };
    const bare = genesisFleet(fleetTerms, now + 90 * DAY);
    const fleet = { ...bare, ...withEpoch(bare, pool.name, await epochOf(pool, [person.recipient], realm)) };
    const roles = [
      {
        name: 'targets',
        metadata: signMetadata(genesisTargets(one(person.publicHex), now + 90 * DAY), [targets]),
      },
      { name: 'fleet', metadata: signMetadata(fleet, [person]) },
      { name: 'fleet-hosts', metadata: signMetadata(firstTargets(now + 30 * DAY), [person]) },
    ];
    return new TestRealm({ root: rootFile, roles, lease }, person, { root, targets }, pool, keys, now);
  }

  /** The next root, which gives top-level roles other keys; signed by root's signer and by `others`. */
  nextRoot(
    change: Partial<RootKeys>,
    others: readonly TestSigner[] = [],
    expires = this.#now + 365 * DAY,
  ): Uint8Array {
    const { version, keys } = this.#root;
    this.#root = { version: version + 1, keys: { ...keys, ...change } };
    const root = firstRoot(this.#root.keys, expires);
    return signMetadata({ ...root, version: version + 1 }, [this.signer('root'), ...others]);
  }

  /** One key of a role of root in the place of all that it has. */
  replacing(role: TopLevelRole, publicHex: string): Partial<RootKeys> {
    return { [role]: { signers: [publicHex], threshold: 1 } };
  }

  /** The pool's current epoch. */
  pool(name = 'default'): TestPool {
    const pool = this.#pools.findLast((each) => each.name === name);
    if (!pool) throw new Error(`there is no pool ${name}`);
    return pool;
  }

  get fleet(): Fleet {
    return readFleet(this.role('fleet'));
  }

  /** The next version of `targets`, with one more namespace. */
  delegate(namespace: string, options: DelegateOptions = {}): Publish {
    const { revoker = false, pools = ['default'], leaseSeconds, whenStale = 'deny' } = options;
    const [signer, taker] = [makeSigner(), makeSigner()];
    this.#signers.set(namespace, signer).set(`${namespace}-revoker`, taker);
    const change = delegateNamespace(this.role('targets'), parseNamespace(namespace), {
      signers: [signer.publicHex],
      threshold: 1,
      revokers: revoker ? [taker.publicHex] : [],
      policy: {
        pools: pools.map(parsePoolName),
        custodians: [this.person.recipient],
        ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
        whenStale,
      },
    });
    return this.adopt(this.draft('targets', change));
  }

  /** A new pool, or the next epoch of one, with its keyrings for every member. */
  async epoch(name = 'default'): Promise<Publish> {
    const pool = makePool(name, (this.#pools.findLast((each) => each.name === name)?.epoch ?? 0) + 1);
    this.#pools.push(pool);
    const { raw } = this.role('fleet');
    const epoch = await epochOf(pool, [this.person.recipient], this.id);
    const fleet = this.draft('fleet', withEpoch(raw, pool.name, epoch));
    return this.adopt(merged(fleet, await this.#hostsDraft([...this.hosts.values()])));
  }

  /** A host joins: its record, and the keyring that its pools owe it. */
  async join(
    name: string,
    pools: readonly string[] = ['default'],
  ): Promise<{ host: TestHost; publish: Publish }> {
    const host = makeHost(this.id, name, pools);
    this.hosts.set(name, host);
    return { host, publish: this.adopt(await this.#hostsDraft([...this.hosts.values()])) };
  }

  /** A host is removed, and its pools get their next epochs, in one publish. */
  async remove(name: string): Promise<Publish> {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`${name} never joined`);
    this.hosts.delete(name);
    let raw = this.role('fleet').raw;
    raw = { ...raw, ...withRemoval(raw, { host: host.name, kid: host.kid, at: this.#now }) };
    for (const pool of host.pools) {
      const next = makePool(pool, this.pool(pool).epoch + 1);
      this.#pools.push(next);
      raw = { ...raw, ...withEpoch(raw, pool, await epochOf(next, [this.person.recipient], this.id)) };
    }
    const fleet = this.draft('fleet', { pools: raw['pools'] ?? {}, removals: raw['removals'] ?? [] });
    return this.adopt(merged(fleet, await this.#hostsDraft([...this.hosts.values()])));
  }

  /** A host's keyring file as its record names it. */
  async keyring(host: TestHost): Promise<Uint8Array> {
    const recipient = await importRecipient(recipientOf(host.encryption));
    const mine = this.#pools.filter(({ name }) => host.pools.includes(name));
    return encodeKeyring(
      await Promise.all(
        mine.map(async ({ name, epoch, raw }) => ({
          ...(await wrapPoolKey(raw, { ...recipient, epoch }, { realm: this.id, pool: name, epoch })),
          pool: name,
        })),
      ),
    );
  }

  async #hostsDraft(hosts: readonly TestHost[]): Promise<Publish> {
    let targets: JsonObject = {};
    const files: Uint8Array[] = [];
    for (const host of hosts) {
      const keyring = await this.keyring(host);
      files.push(keyring);
      targets = withHost(targets, { ...host, joined: this.#now }, keyring);
    }
    return this.draft('fleet-hosts', { targets }, { files });
  }

  /** The next version of a secret: envelope, wrapped keys, namespace role. */
  async put(namespace: string, name: string, options: PutOptions = {}): Promise<Publish> {
    const { value = randomBytes(32), grants = [], overlapSeconds = 300, whenStale = 'deny' } = options;
    const secret = this.secret(namespace, name);
    const of = { namespace: parseNamespace(namespace), name: parseSecretName(name), secret };
    const version = (secret?.newestVersion ?? 0) + 1;
    const context = { realm: this.id, namespace: of.namespace, name: of.name, version };
    const dataKey = randomBytes(32);
    const envelope = sealEnvelope(value, dataKey, randomBytes(24), context);
    const policy = readRealm(this.role('targets')).get(of.namespace)?.policy;
    const recipients = options.recipients ?? (policy ? recipientsOf(this.fleet, policy) : []);
    const next = {
      version,
      length: envelope.length,
      sha256: sha256(envelope),
      keys: await Promise.all(
        recipients.map(async (each) => wrapKey(dataKey, await importRecipient(each), context)),
      ),
      grants,
      overlapSeconds,
      whenStale,
    };
    const targets = addVersion(this.targets(namespace), of, next, this.#now);
    return this.adopt(this.draft(namespace, { targets }, { files: [envelope] }));
  }

  /** The namespace role that takes back every version of a secret up to `through`. */
  revoke(namespace: string, name: string, through: number): Publish {
    const secret = this.secret(namespace, name);
    if (!secret) throw new Error(`${namespace}/${name} was never put`);
    const targets = revokeThrough(this.targets(namespace), secret, through, this.#now);
    return this.adopt(this.draft(namespace, { targets }));
  }

  /** The namespace's revoker takes back every version up to `through`. */
  takeBack(namespace: string, name: string, through: number): Publish {
    const role = `${namespace}-revoker`;
    const withdrawals = object(this.#roles.get(role)?.raw['withdrawals'] ?? {}, 'withdrawals');
    const next = withdrawThrough(withdrawals, parseSecretName(name), through);
    return this.adopt(this.draft(role, { withdrawals: next }));
  }

  /** The namespace's revoker takes back a workload's access to every version up to `through`. */
  takeGrantBack(namespace: string, name: string, workload: string, through: number): Publish {
    const role = `${namespace}-revoker`;
    const withdrawals = object(this.#roles.get(role)?.raw['withdrawals'] ?? {}, 'withdrawals');
    const next = withdrawGrant(withdrawals, parseSecretName(name), parseWorkload(workload), through);
    return this.adopt(this.draft(role, { withdrawals: next }));
  }

  /** A role's next version with some signed members replaced. It is not remembered until `adopt`. */
  draft(
    name: string,
    change: JsonObject,
    { signer = this.signer(name), files = [] as readonly Uint8Array[] } = {},
  ): Publish {
    const old = this.#roles.get(name);
    const expires = this.#now + 30 * DAY;
    const signed = old ? nextVersion(old, expires, change) : { ...firstTargets(expires), ...change };
    return { roles: [{ name, metadata: signMetadata(signed, [signer]) }], files };
  }

  /** Remembers a publish as its roles' newest versions. */
  adopt(publish: Publish): Publish {
    for (const { name, metadata } of publish.roles) this.#remember(name, metadata);
    return publish;
  }

  /** A role as last adopted. */
  role(name: string): Verified<Targets> {
    const role = this.#roles.get(name);
    if (!role) throw new Error(`${name} was never built`);
    return role;
  }

  /** A role's `targets` member as last adopted; empty before its first version. */
  targets(name: string): JsonObject {
    const old = this.#roles.get(name);
    return old ? object(old.raw['targets'], 'targets') : {};
  }

  secret(namespace: string, name: string): Secret | undefined {
    const old = this.#roles.get(namespace);
    return old && readSecrets(old.role, parseNamespace(namespace)).get(parseSecretName(name));
  }

  /** Somebody else signs a role from now on. */
  setSigner(name: string, signer: TestSigner): void {
    this.#signers.set(name, signer);
  }

  /** Who signs a role. */
  signer(name: string): TestSigner {
    const signer = this.#signers.get(name);
    if (!signer) throw new Error(`${name} was never delegated`);
    return signer;
  }

  #remember(name: string, bytes: Uint8Array): void {
    const { file, role } = parseTargets(bytes);
    this.#roles.set(name, { bytes, sha256: sha256(bytes), raw: file.raw, role });
  }
}

/** Two publishes as one. */
export function merged(a: Publish, b: Publish): Publish {
  return { roles: [...a.roles, ...b.roles], files: [...a.files, ...b.files] };
}

async function epochOf(pool: TestPool, custodians: readonly Recipient[], realm: RealmId): Promise<PoolEpoch> {
  const { kid, epoch, key, raw, name } = pool;
  const copies = custodians.map(async (each) =>
    wrapPoolKey(raw, await importRecipient({ ...each, epoch }), { realm, pool: name, epoch }),
  );
  return { kid, epoch, key, custodians: await Promise.all(copies) };
}
