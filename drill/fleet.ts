// The whole stack of a drill on this machine: the real service and its realm, and hosts, each with its own lapsed. `lapse` runs
// against it. Disposed, nothing of it is left, however far it came.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../client/clock.ts';
import { makePlaces, makeRealm } from '../demo/programs.ts';
import type { Places } from '../demo/programs.ts';
import { DrillHost } from './host.ts';
import type { HostOptions } from './host.ts';
import { Network } from './network.ts';
import { Relay } from './relay.ts';
import { DrillService } from './service.ts';

export interface FleetOptions extends Pick<HostOptions, 'settings' | 'command'> {
  readonly hosts: number;
  /** Namespaces for the hosts, and how far they are from the service, in milliseconds each way. */
  readonly network?: { readonly delayMs: number } | undefined;
  /** `60s`. */
  readonly lease: string;
  readonly cpus: Places['cpus'];
  /** What is done, one line each. */
  readonly say: (what: string) => void;
  /** Nothing more is started then. */
  readonly signal: AbortSignal;
}

export class Fleet implements AsyncDisposable {
  readonly places: Places;
  readonly service: DrillService;
  readonly hosts: readonly DrillHost[];
  readonly #resources: AsyncDisposableStack;

  private constructor(
    places: Places,
    service: DrillService,
    hosts: readonly DrillHost[],
    resources: AsyncDisposableStack,
  ) {
    this.places = places;
    this.service = service;
    this.hosts = hosts;
    this.#resources = resources;
  }

  static async start(options: FleetOptions, clock: Clock): Promise<Fleet> {
    await using stack = new AsyncDisposableStack();
    const { say, signal, lease, settings, command } = options;
    const work = await mkdtemp(join(tmpdir(), 'lapse-drill-'));
    stack.defer(() => rm(work, { recursive: true, force: true }));
    const places = await makePlaces(work, options.cpus);
    const service = stack.use(await DrillService.start(places, clock));
    say(`lapse-service on ${service.at.url}, known by its key`);
    await makeRealm(places, service.at, lease);
    const network = options.network && stack.use(await Network.make(options.hosts));
    const via = options.network &&
      network && {
        listen: network.address,
        service: service.at.url,
        delayMs: options.network.delayMs,
      };
    const relay = via && stack.use(await Relay.start(via, clock));
    const hosts: DrillHost[] = [];
    for (let number = 1; number <= options.hosts; number++) {
      signal.throwIfAborted();
      const line = network?.lines[number - 1];
      const host = await DrillHost.start(
        { number, shared: places, settings, command, line, via: relay?.url },
        clock,
      );
      hosts.push(stack.use(host));
      say(`${host.name} joined, and serves${line ? ' from a network namespace' : ''}`);
    }
    return new Fleet(places, service, hosts, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
