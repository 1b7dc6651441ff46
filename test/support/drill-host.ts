// A host that only takes part in drills: it follows the service as a daemon does, and says that it is ready, and what it saw, with
// its own key and without any probe. What a test wants otherwise is its manner.
import { systemClock, bootId, microseconds } from '../../client/clock.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { CANARY, DRILL, readOrder } from '../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../manifest/realm/drill/order.ts';
import { signStatement } from '../../manifest/realm/drill/statement.ts';
import type { DrillStatement, Observed } from '../../manifest/realm/drill/statement.ts';
import { signReceipt } from '../../manifest/realm/receipt.ts';
import { readSecrets } from '../../manifest/realm/secret.ts';
import type { News } from '../../manifest/realm/exchange.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import type { TestHost, TestRealm } from './realm.ts';
import type { EventStream, TestClient } from './realm-service.ts';

export interface Manner {
  /** It takes no part: with this code, or without a word but its receipts. */
  readonly refuses?: string;
  readonly isSilent?: boolean;
  /** Another machine's clock: its boot id, and by how many microseconds it is ahead. */
  readonly boot?: string;
  readonly aheadUs?: number;
  /** Told of each order that names this host, and of each version that is gone. */
  readonly onOrder?: (order: DrillOrder) => void;
  readonly onGone?: (version: number) => void;
  /** What it says otherwise of what it saw. */
  readonly saw?: (observed: Observed) => Observed;
}

const clock = systemClock();
const WAY = { attempts: 9, reads: 6, late: 0, attemptsAfter: 2, errno: 2 };

export class DrillHost implements AsyncDisposable {
  readonly #host: TestHost;
  readonly #realm: TestRealm;
  readonly #client: TestClient;
  readonly #manner: Manner;
  readonly #stream: EventStream;
  #order: DrillOrder | undefined;
  #version: number | undefined;
  #sequence = 0;
  #isOver = false;
  #following: Promise<void> = Promise.resolve();
  /** Orders that named it. */
  readonly orders: string[] = [];

  private constructor(
    parts: { host: TestHost; realm: TestRealm; client: TestClient; manner: Manner },
    stream: EventStream,
  ) {
    this.#host = parts.host;
    this.#realm = parts.realm;
    this.#client = parts.client;
    this.#manner = parts.manner;
    this.#stream = stream;
  }

  static async start(
    host: TestHost,
    realm: TestRealm,
    of: TestClient,
    manner: Manner = {},
  ): Promise<DrillHost> {
    const client = of.as(host);
    const started = new DrillHost({ host, realm, client, manner }, await client.events());
    started.#following = started.#follow();
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#stream[Symbol.dispose]();
    await this.#following;
  }

  async #follow(): Promise<void> {
    try {
      for (let event = await this.#stream.next(); event; event = await this.#stream.next()) {
        await this.#take(event.news, this.#now());
      }
    } catch (error) {
      if (!this.#isOver) throw error;
    }
  }

  async #take(news: News, received: number): Promise<void> {
    const file = [...news.files].find(([name]) => /^\d+\.drill\.json$/.test(name))?.[1];
    if (!file) return;
    const { file: parsed, role } = parseTargets(file);
    const order = readOrder(parsed);
    const version = readSecrets(role, DRILL).get(CANARY);
    const { workload } = order ?? {};
    const isGranted = version?.grants.some((grant) => grant.workload === workload) === true;
    const shown = isGranted ? version.newest?.version : undefined;
    const gone = this.#version;
    const before = this.#order;
    const isNamed = order?.hosts.includes(this.#host.name) === true;
    this.#version = isNamed ? shown : undefined;
    this.#order = isNamed ? order : undefined;
    if (isNamed && before?.id !== order.id) {
      this.orders.push(order.id);
      this.#manner.onOrder?.(order);
    }
    const receiptSigned = this.#now();
    await this.#post(await this.#receipt(role.version, sha256(file)));
    if (this.#manner.isSilent === true) return;
    const code = this.#manner.refuses;
    if (code !== undefined) {
      if (isNamed) await this.#say({ kind: 'refused', code }, order.id);
      return;
    }
    if (before && gone !== undefined && gone !== shown) {
      this.#manner.onGone?.(gone);
      await this.#say(
        this.#observed(gone, news, received, receiptSigned, before.kind === 'partition'),
        before.id,
      );
    }
    if (isNamed && shown !== undefined && shown !== gone)
      await this.#say({ kind: 'armed', version: shown }, order.id);
  }

  #observed(
    version: number,
    { at, boot }: News,
    received: number,
    receiptSigned: number,
    isCut: boolean,
  ): JsonObject {
    const way = { ...WAY, lastRead: received + 3, firstDenied: received + 5 };
    const saw = this.#manner.saw ?? ((observed: Observed) => observed);
    return saw({
      kind: 'observed',
      version,
      moments: isCut
        ? { cut: received - 1000, leaseEnd: received + 1000 }
        : {
            pushed: at,
            received,
            verified: received + 1,
            denied: received + 2,
            invalidated: received + 4,
            zeroed: received + 4,
            receiptSigned,
          },
      serviceBoot: boot,
      ways: { reopen: way, held: way, mapped: way, watched: way },
    } as unknown as Observed) as unknown as JsonObject;
  }

  #receipt(version: number, hash: string): Promise<string> {
    const { name: host, signingKey, kid } = this.#host;
    return signReceipt(
      {
        realm: this.#realm.id,
        host,
        boot: this.#boot,
        sequence: ++this.#sequence,
        at: clock.now(),
        roles: new Map([['drill', { version, sha256: hash }]]),
        withdrawn: [],
        more: 0,
        mappings: 0,
        failures: new Map(),
        verifiedUs: 1,
        effectUs: 2,
      },
      signingKey,
      kid,
    );
  }

  async #say(what: JsonObject, drill: string): Promise<void> {
    const { name: host, signingKey, kid } = this.#host;
    const statement = { realm: this.#realm.id, host, boot: this.#boot, drill, ...what };
    await this.#post(await signStatement(statement as unknown as DrillStatement, signingKey, kid));
  }

  async #post(jws: string): Promise<void> {
    const { status, body } = await this.#client.post('receipts', JSON.stringify({ receipts: [jws] }));
    if (status !== 202) throw new Error(`${this.#host.name} was refused: ${JSON.stringify(body)}`);
  }

  get #boot(): string {
    return this.#manner.boot ?? bootId();
  }

  #now(): number {
    return microseconds(clock.monotonic()) + (this.#manner.aheadUs ?? 0);
  }
}
