// A machine whose realm the test itself signs, role by role: a real service in this process, a proxy before it that the test
// drives, and a real lapsed that was started with the keys of a host of that realm. For what no operator's command does.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeHostFile } from '../../daemon/host/host-file.ts';
import { parseFileName, parseWorkload } from '../../manifest/names.ts';
import type { Publish } from '../../manifest/realm/exchange.ts';
import type { Places } from '../../demo/programs.ts';
import { systemClock } from '../../service/clock.ts';
import { Machine, underHolder } from './lapsed.ts';
import { Proxy } from './lapsed-proxy.ts';
import { TestRealm } from './realm.ts';
import type { DelegateOptions, PutOptions, TestHost } from './realm.ts';
import { startTestService } from './realm-service.ts';
import type { TestService } from './realm-service.ts';

const PUPPET = fileURLToPath(new URL('./lapsed-puppet.ts', import.meta.url));

export interface RealmOptions {
  /** Seconds. */
  readonly lease?: number;
  readonly namespaces?: Readonly<Record<string, DelegateOptions>>;
}

export class RealmMachine extends Machine {
  readonly service: TestService;
  readonly proxy: Proxy;
  readonly realm: TestRealm;
  readonly host: TestHost;

  private constructor(
    places: Places,
    parts: { service: TestService; proxy: Proxy; realm: TestRealm; host: TestHost },
    resources: AsyncDisposableStack,
  ) {
    super(places, resources);
    this.service = parts.service;
    this.proxy = parts.proxy;
    this.realm = parts.realm;
    this.host = parts.host;
  }

  /** With its namespaces, and the host `web-1`, which has not started yet. */
  static async start({ lease = 2, namespaces = { payments: {} } }: RealmOptions = {}): Promise<RealmMachine> {
    await using stack = new AsyncDisposableStack();
    const places = await Machine.places(stack);
    const clock = { ...systemClock, advance: () => undefined };
    const service = stack.use(await startTestService({ clock, http: true, data: places.store }));
    const proxy = stack.use(await Proxy.start(service.client.url));
    const realm = await TestRealm.make(await service.client.onlineKeys(), { lease });
    const { status, body } = await service.client.create(realm.genesis);
    if (status >= 300) throw new Error(`the realm was refused: ${JSON.stringify(body)}`);
    const { host, publish } = await realm.join('web-1');
    const machine = new RealmMachine(places, { service, proxy, realm, host }, stack);
    await machine.publish(publish);
    for (const [namespace, options] of Object.entries(namespaces))
      await machine.publish(realm.delegate(namespace, options));
    await machine.#settle();
    machine.resources = stack.move();
    return machine;
  }

  /** As `lapsed join` leaves it. */
  async #settle(): Promise<void> {
    const { state } = this.places;
    const { name, signingKey, encryptionKey } = this.host;
    await writeHostFile(
      state,
      { service: { url: this.proxy.url }, realm: this.realm.id, name },
      this.realm.genesis.root,
    );
    for (const [file, key] of [
      ['host.ed25519', signingKey],
      ['host.x25519', encryptionKey],
    ] as const)
      writeFileSync(join(state, file), key.export({ format: 'der', type: 'pkcs8' }), { mode: 0o600 });
  }

  /** Past the proxy, as an operator elsewhere does. */
  async publish(what: Publish): Promise<void> {
    const { status, body } = await this.service.client.publish(what);
    if (status >= 300) throw new Error(`refused: ${JSON.stringify(body)}`);
  }

  /** A value for the workload `web`, in a file of the secret's name. */
  async put(secret: string, value: string, options: PutOptions = {}): Promise<void> {
    const [namespace = '', name = ''] = secret.split('/');
    const grants = [
      { workload: parseWorkload('web'), file: parseFileName(name), uid: 0, gid: 0, mode: 0o400 },
    ];
    await this.publish(
      await this.realm.put(namespace, name, { value: Buffer.from(value), grants, ...options }),
    );
  }

  /** A lapsed whose wall clock and main thread the test holds; the holder leaves it alone for a minute. */
  async startPuppet(deadAfterMs = 60_000): Promise<Puppet> {
    const strings = join(this.places.work, 'strings');
    mkdirSync(strings, { recursive: true });
    const puppet = new Puppet(this, strings);
    puppet.wallAhead(0);
    const [first, ...rest] = underHolder(this.places, { deadAfterMs });
    const command = rest
      .map((word) => (word.endsWith('daemon/main.ts') ? PUPPET : word))
      .filter((word) => word !== 'serve');
    await this.startLapsed({}, [first, ...command, strings]);
    return puppet;
  }
}

/** What it hangs on (lapsed-puppet.ts). */
export class Puppet {
  readonly #machine: RealmMachine;
  readonly #strings: string;

  constructor(machine: RealmMachine, strings: string) {
    this.#machine = machine;
    this.#strings = strings;
  }

  /** Its wall clock goes ahead of the machine's by so many milliseconds, or behind. */
  wallAhead(ms: number): void {
    const file = join(this.#strings, 'wall');
    // Never empty: it is read all the time.
    writeFileSync(file, String(ms).padEnd(20), { flag: existsSync(file) ? 'r+' : 'w' });
  }

  /** Its main thread does nothing for that long; the serving thread goes on. */
  block(ms: number): void {
    writeFileSync(join(this.#strings, 'block'), String(ms));
    this.#machine.lapsed.signalServer('SIGWINCH');
  }
}
