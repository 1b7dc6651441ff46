// A host with containers: lapsed's own, whose public directory is a shared mount as on a host with systemd, so that
// what is mounted below it appears in every container that binds it as a slave. Disposing it ends the containers first.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Places } from '../../demo/programs.ts';
import { Inside, bind } from './container-inside.ts';
import type { Bind, InsideOptions, Runtime } from './container-inside.ts';
import { Host } from './lapsed.ts';

/** The mount, as containers see it. */
export const FS = '/run/lapse/fs';

type Make<Options> = (places: Places, options: Options) => Promise<Runtime>;

export class ContainerHost implements AsyncDisposable {
  readonly host: Host;
  readonly #resources: AsyncDisposableStack;

  private constructor(host: Host, resources: AsyncDisposableStack) {
    this.host = host;
    this.#resources = resources;
  }

  /** `lapsed: false` leaves the daemon to the test. */
  static async start({ lapsed = true } = {}): Promise<ContainerHost> {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(await Host.start({ lapsed: false }));
    share(host.places.shared);
    if (lapsed) await host.startLapsed();
    return new ContainerHost(host, stack.move());
  }

  /** Starts a container, which binds the public directory unless it is told otherwise. */
  async inside<Options extends InsideOptions>(make: Make<Options>, options: Options): Promise<Inside> {
    return this.run(await make(this.host.places, { binds: [this.parent], ...options }));
  }

  get parent(): Bind {
    return bind(this.host.places.shared, '/run/lapse');
  }

  /** Starts a container that has been made. */
  async run(runtime: Runtime): Promise<Inside> {
    return this.#resources.use(await Inside.start(runtime));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function share(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const args of [
    ['--bind', directory, directory],
    ['--make-shared', directory],
  ]) {
    const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8', timeout: 20_000 });
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  }
}
