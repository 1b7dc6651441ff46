// The service of a drill, which can be harmed as machines and people do: killed and started again, stopped and continued.
import type { Clock } from '../client/clock.ts';
import { startService } from '../demo/programs.ts';
import type { Places, Program, ServiceAt } from '../demo/programs.ts';

export class DrillService implements AsyncDisposable {
  readonly at: ServiceAt;
  readonly #places: Places;
  readonly #clock: Clock;
  #program: Program;

  private constructor(places: Places, clock: Clock, { program, at }: { program: Program; at: ServiceAt }) {
    this.at = at;
    this.#places = places;
    this.#clock = clock;
    this.#program = program;
  }

  static async start(places: Places, clock: Clock): Promise<DrillService> {
    return new DrillService(places, clock, await startService(places, clock));
  }

  kill(): Promise<void> {
    return this.#program.kill();
  }

  /** After a kill, where it was. */
  async startAgain(): Promise<void> {
    const listen = new URL(this.at.url).host;
    this.#program = (await startService(this.#places, this.#clock, { listen })).program;
  }

  pause(): void {
    this.#program.signal('SIGSTOP');
  }

  goOn(): void {
    this.#program.signal('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn();
    await this.#program.stop();
  }
}
