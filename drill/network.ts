// Network namespaces for hosts: each has one address, one line to a bridge in the namespace of the service, and no other way
// out. A line can be cut and mended. Everything bears this process's id, and is gone when the network is disposed.
import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** The third byte of 10.213.x.0/24. */
const NETS = 256;
/** A /24 without its first and last address, and the bridge's. */
const MOST = 253;

export interface Line {
  /** Words before a command: it runs with the network of this namespace alone, and sees the mounts of everybody else. */
  readonly enter: readonly string[];
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export class Network implements AsyncDisposable {
  /** The bridge's address, on which hosts find who listens there. */
  readonly address: string;
  readonly lines: readonly Line[];
  readonly #namespaces: readonly string[];
  readonly #bridge: string;

  private constructor(net: number, hosts: number) {
    this.address = addressOf(net, 1);
    this.#bridge = `lapseb${process.pid}`;
    this.#namespaces = Array.from({ length: hosts }, (_, i) => `lapse-drill-${process.pid}-${i + 1}`);
    this.lines = this.#namespaces.map((namespace, i) => ({
      // Not `ip netns exec`: that would give it a mount namespace of its own, and nobody could read what it mounts.
      enter: ['nsenter', `--net=/run/netns/${namespace}`],
      cut: () => ip('link', 'set', portOf(i), 'down'),
      mend: () => ip('link', 'set', portOf(i), 'up'),
    }));
  }

  static async make(hosts: number): Promise<Network> {
    if (hosts > MOST) throw new Error(`at most ${MOST} hosts find a place in one network`);
    const net = freeNet();
    const network = new Network(net, hosts);
    try {
      await network.#build(net);
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  async #build(net: number): Promise<void> {
    await ip('link', 'add', this.#bridge, 'type', 'bridge');
    await ip('address', 'add', `${this.address}/24`, 'dev', this.#bridge);
    await ip('link', 'set', this.#bridge, 'up');
    for (const [i, namespace] of this.#namespaces.entries()) {
      const inside = (...args: readonly string[]): Promise<void> => ip('-n', namespace, ...args);
      await ip('netns', 'add', namespace);
      await ip('link', 'add', portOf(i), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      await ip('link', 'set', portOf(i), 'master', this.#bridge, 'up');
      await inside('address', 'add', `${addressOf(net, i + 2)}/24`, 'dev', 'eth0');
      await inside('link', 'set', 'eth0', 'up');
      await inside('link', 'set', 'lo', 'up');
    }
  }

  /** What was not made is not there. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [i, namespace] of this.#namespaces.entries()) {
      await ip('link', 'delete', portOf(i)).catch(() => undefined);
      await ip('netns', 'delete', namespace).catch(() => undefined);
    }
    await ip('link', 'delete', this.#bridge).catch(() => undefined);
  }
}

/** The bridge's end of a host's line: at most 15 characters. */
function portOf(i: number): string {
  return `lv${process.pid}-${i + 1}`;
}

function addressOf(net: number, host: number): string {
  return `10.213.${net}.${host}`;
}

/** One that no interface of this machine has an address in; by the process id, so that two at once begin elsewhere. */
function freeNet(): number {
  const used = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
  for (let i = 0; i < NETS; i++) {
    const net = (process.pid + i) % NETS;
    if (!used.some((address) => address.startsWith(`10.213.${net}.`))) return net;
  }
  throw new Error('no network 10.213.x.0/24 is free');
}

async function ip(...args: readonly string[]): Promise<void> {
  await run('ip', args);
}
