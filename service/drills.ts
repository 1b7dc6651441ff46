// The signed reports of drills. One is kept when a key that signs the role `drill` now has signed it, for this realm and a
// drill that is not known; the newest are kept. "Newest" goes by the drill's own end, which must not be to come: so reports
// that were let go cannot be brought back to push out others, and nobody fills the room for good.
import { ManifestError } from '../manifest/errors.ts';
import { KEPT_LIMITS } from '../manifest/realm/drill/kept-report.ts';
import type { KeptReports } from '../manifest/realm/drill/kept-report.ts';
import { DRILL } from '../manifest/realm/drill/order.ts';
import { verifyReport } from '../manifest/realm/drill/signed-report.ts';
import { delegatedKeys } from '../manifest/tuf/delegations.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { Repository } from './repository.ts';
import type { Inbox } from './store/inbox.ts';

/** How far an operator's clock may be ahead, in milliseconds. */
const AHEAD_MS = 5 * 60_000;

export class DrillShelf {
  readonly #inbox: Inbox;
  readonly #repository: Repository;
  readonly #clock: Clock;
  readonly #most: number;

  constructor(inbox: Inbox, repository: Repository, clock: Clock, most: number = KEPT_LIMITS.most) {
    this.#inbox = inbox;
    this.#repository = repository;
    this.#clock = clock;
    this.#most = most;
  }

  /**
   * Keeps a report, durably.
   * @throws ManifestError drill-refused; ServiceError drill-exists, realm-missing, store-failed
   */
  async put(jws: string): Promise<void> {
    const targets = await this.#repository.role('targets');
    const keys = targets && delegatedKeys(targets.role, DRILL)?.keys;
    if (!keys) throw new ManifestError('drill-refused', 'this realm has no namespace drill');
    const { summary } = verifyReport(jws, keys, await this.#repository.realm());
    const { drill, endedAt: ended } = summary;
    const at = this.#clock.now();
    if (ended > at + AHEAD_MS) {
      throw new ManifestError('drill-refused', 'the drill ends in the future, by the clock of this service');
    }
    switch (await this.#inbox.putDrill({ drill, ended, at, jws }, this.#most)) {
      case 'kept':
        return;
      case 'known':
        throw new ServiceError('drill-exists', 'a report of that drill is kept already');
      case 'old':
        throw new ManifestError('drill-refused', `${this.#most} newer reports are kept already`);
    }
  }

  /** A page of what came after a number. @throws ServiceError store-failed */
  async page(after: number, limit: number): Promise<KeptReports> {
    const drills = await this.#inbox.drillsAfter(after, limit, KEPT_LIMITS.pageBytes);
    return { drills, last: await this.#inbox.lastDrill() };
  }
}
