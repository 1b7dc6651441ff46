// The crash of the service, from outside: it is killed or stopped at a random moment around a revocation, and started again or
// continued a random while later. The operator repeats the command until it succeeds, as one would. Nothing may be readable
// after the revocation is in effect on a host.
import { randomInt } from 'node:crypto';
import type { Sight } from './onlooker.ts';
import type { Outside } from './outside.ts';

/** The strike comes so long after the command is started, which takes about as long to publish; milliseconds. */
const STRIKE_MS = 400;
/** How long the service is away at most, in milliseconds. */
const AWAY_MS = 1500;
/** Between two attempts of the operator, in milliseconds. */
const RETRY_MS = 100;
/** How long reading is tried on after the effect, in milliseconds. */
const SETTLE_MS = 200;

export interface OutageSight extends Sight {
  /** From the strike to the effect on the host. */
  readonly struckToEffectMs: number;
}

export interface Outage {
  readonly means: 'kill' | 'stop';
  readonly attempts: number;
  readonly sights: readonly OutageSight[];
}

export async function outageTrial(outside: Outside, number: number): Promise<Outage> {
  const { onlookers, clock, signal } = outside;
  const means = number % 2 === 0 ? 'kill' : 'stop';
  await outside.untilServed();
  const version = await outside.put();
  const [attempts, struckAt] = await Promise.all([revokeAtLast(outside), strike(outside, means)]);
  const sights = onlookers.map(async (onlooker) => {
    const effectAt = await outside.effectOf(onlooker, version);
    onlooker.effect(effectAt);
    await onlooker.untilRefused(effectAt, outside.patience());
    await clock.sleep(SETTLE_MS, signal);
    const struckToEffectMs = Number(effectAt - struckAt) / 1e6;
    return { ...(await onlooker.sight(outside.patience())), struckToEffectMs };
  });
  return { means, attempts, sights: await Promise.all(sights) };
}

/** Resolves with its moment when the service serves again. */
async function strike(
  { fleet: { service }, clock, signal }: Outside,
  means: Outage['means'],
): Promise<bigint> {
  await clock.sleep(randomInt(STRIKE_MS), signal);
  const at = clock.monotonic();
  if (means === 'stop') service.pause();
  else await service.kill();
  await clock.sleep(randomInt(AWAY_MS), signal);
  if (means === 'stop') service.goOn();
  else await service.startAgain();
  return at;
}

/** How often it was tried. An answer that got lost leaves open what was published: then revoking again does no harm. */
async function revokeAtLast(outside: Outside): Promise<number> {
  let attempts = 0;
  await outside.until('revocation that the service takes', async () => {
    attempts += 1;
    const { code } = await outside.revoke();
    if (code === 0) return true;
    await outside.clock.sleep(RETRY_MS, outside.signal);
    return undefined;
  });
  return attempts;
}
