// A manifest service in memory: what a realm's authors publish, under snapshots and timestamps of its own keys. It
// checks nothing, so that a test can publish or replace whatever it wants to see refused.
import { ClientError } from '../../../client/errors.ts';
import type { Transport } from '../../../client/transport.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import type { KeptReports } from '../../../manifest/realm/drill/kept-report.ts';
import { signEcho } from '../../../manifest/realm/echo.ts';
import type { News, Publish, Published, StoredReceipts } from '../../../manifest/realm/exchange.ts';
import type { JoinRequest } from '../../../manifest/realm/invite.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { SPEC_VERSION, sha256, signMetadata } from '../../../manifest/tuf/metadata.ts';
import { makeSigner, TestRealm } from '../../support/realm.ts';
import type { PutOptions, TestSigner } from '../../support/realm.ts';
import type { ManualClock } from './manual-clock.ts';

const DAY = 24 * 3600_000;

type OnlineSigners = Readonly<Record<'snapshot' | 'timestamp', TestSigner>>;

export class MemoryService implements Transport {
  readonly url = 'memory:';
  /** What it answers with, by consistent name. */
  files = new Map<string, Uint8Array>();
  /** Every file that it was asked for. */
  readonly asked: string[] = [];
  /** Waited for before each answer. */
  gate: (file: string) => Promise<void> = () => Promise.resolve();
  /** How long what it signs is good, in milliseconds. */
  lifetime = { snapshot: 30 * DAY, timestamp: DAY };
  readonly realm: TestRealm;
  /** Its online keys; whoever has stolen them signs what it likes. */
  keys: OnlineSigners;
  /** What the next snapshot says, and the version that it and its timestamp follow. */
  meta: Readonly<Record<string, JsonObject>> = {};
  version = 0;
  readonly #clock: ManualClock;

  private constructor(realm: TestRealm, clock: ManualClock, keys: OnlineSigners) {
    this.realm = realm;
    this.#clock = clock;
    this.keys = keys;
  }

  /** A realm with `payments`, and `payments/db@1` in it. */
  static async start(clock: ManualClock, put?: PutOptions): Promise<MemoryService> {
    const keys = { snapshot: makeSigner(), timestamp: makeSigner() };
    const online = { snapshot: keys.snapshot.publicHex, timestamp: keys.timestamp.publicHex };
    const realm = await TestRealm.make(online, { now: clock.now(), lease: 60 });
    const service = new MemoryService(realm, clock, keys);
    service.put({ roles: realm.genesis.roles, files: [] });
    service.put(realm.delegate('payments'));
    service.put(await realm.put('payments', 'db', put));
    return service;
  }

  /** Takes in the next versions of roles and returns the news of them. */
  put({ roles, files }: Publish): News {
    const changed = new Map<string, Uint8Array>();
    for (const { name: role, metadata } of roles) {
      const { signed } = JSON.parse(Buffer.from(metadata).toString()) as { signed: JsonObject };
      const version = signed['version'] as number;
      const named = { version, length: metadata.length, hashes: { sha256: sha256(metadata) } };
      this.meta = { ...this.meta, [`${role}.json`]: named };
      changed.set(`${version}.${role}.json`, metadata);
      for (const [path, target] of Object.entries(
        signed['targets'] as Record<string, { hashes: { sha256: string } }>,
      )) {
        const file = files.find((bytes) => sha256(bytes) === target.hashes.sha256);
        if (file) changed.set(path.replace('/', `/${target.hashes.sha256}.`), file);
      }
    }
    for (const [name, bytes] of changed) this.files.set(name, bytes);
    return { timestamp: this.sign(changed), files: changed };
  }

  /** Signs the next snapshot and timestamp, which go into `changed` and to whoever asks. */
  sign(changed = new Map<string, Uint8Array>()): Uint8Array {
    const version = ++this.version;
    const head = (type: 'snapshot' | 'timestamp'): JsonObject => ({
      _type: type,
      spec_version: SPEC_VERSION,
      version,
      expires: formatInstant(this.#clock.now() + this.lifetime[type]),
    });
    const snapshot = signMetadata({ ...head('snapshot'), meta: this.meta }, [this.keys.snapshot]);
    const meta = {
      'snapshot.json': { version, length: snapshot.length, hashes: { sha256: sha256(snapshot) } },
    };
    const timestamp = signMetadata({ ...head('timestamp'), meta, lease: 60 }, [this.keys.timestamp]);
    changed.set(`${version}.snapshot.json`, snapshot);
    this.files.set(`${version}.snapshot.json`, snapshot).set('timestamp.json', timestamp);
    return timestamp;
  }

  /** Root gives it other online keys: what the old ones signed is to be forgotten. Returns the news of it. */
  rotate(): News {
    this.keys = { snapshot: makeSigner(), timestamp: makeSigner() };
    const one = ({ publicHex }: TestSigner) => ({ signers: [publicHex], threshold: 1 });
    const root = this.realm.nextRoot({
      snapshot: one(this.keys.snapshot),
      timestamp: one(this.keys.timestamp),
    });
    const { signed } = JSON.parse(Buffer.from(root).toString()) as { signed: { version: number } };
    const changed = new Map([[`${signed.version}.root.json`, root]]);
    for (const [name, bytes] of changed) this.files.set(name, bytes);
    return { timestamp: this.sign(changed), files: changed };
  }

  /** Returns what makes it answer, and sign, as it does now. */
  checkpoint(): () => void {
    const { files, meta, version, keys, metadata, echo, target } = this;
    const before = { files: new Map(files), meta, version, keys, metadata, echo, target };
    return () => void Object.assign(this, { ...before, files: new Map(before.files) });
  }

  metadata = async (file: string, maxBytes: number): Promise<Uint8Array> => {
    this.asked.push(file);
    await this.gate(file);
    const bytes = this.files.get(file);
    if (!bytes) throw new ClientError('not-found', `there is no ${file}`);
    if (bytes.length > maxBytes) throw new ClientError('answer-too-large', `${file} is too large`);
    return bytes;
  };

  target = this.metadata;

  news(_lastId: string | undefined, _signal: AbortSignal): AsyncIterable<{ id: string; news: News }> {
    throw new ClientError('service-unreachable', 'nothing is pushed from here');
  }

  /** Of the timestamp that it would answer with. */
  echo = async (nonce: string): Promise<Uint8Array> => {
    this.asked.push('echo');
    await this.gate('echo');
    const bytes = this.files.get('timestamp.json') ?? new Uint8Array();
    const { signed } = JSON.parse(Buffer.from(bytes).toString()) as { signed: { version: number } };
    return signEcho({ version: signed.version, sha256: sha256(bytes) }, nonce, [this.keys.timestamp]);
  };

  onlineKeys(): never {
    throw new Error('the realm exists already');
  }

  changeRoot(): never {
    throw new Error('this service checks nothing, and signs for one root alone');
  }

  createRealm(): never {
    throw new Error('the realm exists already');
  }

  publish(publish: Publish): Promise<Published> {
    this.put(publish);
    const roles = new Map(publish.roles.map(({ name }) => [name, 1]));
    return Promise.resolve({ roles, snapshot: this.version, timestamp: this.version, at: 1, boot: 'memory' });
  }

  propose(): never {
    throw new Error('nothing waits here');
  }

  pending(): never {
    return this.propose();
  }

  pendingChange(): never {
    return this.propose();
  }

  addSignatures(): never {
    return this.propose();
  }

  /** What hosts have posted. */
  readonly posted: string[] = [];

  postReceipts(receipts: readonly string[]): Promise<void> {
    this.posted.push(...receipts);
    return Promise.resolve();
  }

  receipts(): Promise<StoredReceipts> {
    return Promise.resolve({ receipts: [], last: 0 });
  }

  receiptEvents(): never {
    throw new ClientError('service-unreachable', 'nothing is pushed from here');
  }

  postJoin(): never {
    throw new Error('nobody joins here');
  }

  joins(): Promise<readonly JoinRequest[]> {
    return Promise.resolve([]);
  }

  postDrill(): never {
    throw new Error('nobody drills here');
  }

  drills(): Promise<KeptReports> {
    return Promise.resolve({ drills: [], last: 0 });
  }
}

/** More bytes than any file may have. */
export const HUGE = new Uint8Array(LIMITS.targetsBytes + 1);
