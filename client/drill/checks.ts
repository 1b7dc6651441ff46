// What a drill must fulfil to pass, one sentence each, so that nobody has to guess why one failed. A zero counts only with its
// control: a way that no longer tried, or had never read, would have noticed nothing.
import type { DrillRecord, DrillSummary } from '../../manifest/realm/drill/report.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import { counted, milliseconds, names } from './words.ts';

export interface Check {
  /** What is demanded: `no read after the effect`. */
  readonly name: string;
  readonly passed: boolean;
  /** What was found. */
  readonly found: string;
}

/** Everything of a summary but the verdict, which follows from it. */
export type Figures = Omit<DrillSummary, 'pass'>;

export function checksOf(record: DrillRecord, figures: Figures): readonly Check[] {
  return [
    tookPart(figures),
    complete(record, figures),
    answered(figures),
    noReads('effect', figures.readsAfterEffect, figures.attemptsAfter),
    noReads('receipt', figures.readsAfterReceipt, figures.attemptsAfter),
    control(record),
    bound(figures),
    ...objectives(figures),
  ];
}

function tookPart({ hosts }: Figures): Check {
  return { name: 'a host took part', passed: hosts > 0, found: counted(hosts, 'host') };
}

function complete({ aborted }: DrillRecord, { trials }: Figures): Check {
  const found = counted(trials, 'trial');
  return {
    name: 'all trials were made',
    passed: trials > 0 && !aborted,
    found: aborted ? `aborted after ${found}` : found,
  };
}

function answered({ silent }: Figures): Check {
  const found = silent.length > 0 ? `not always: ${names(silent)}` : 'all did';
  return { name: 'every host answered every trial', passed: silent.length === 0, found };
}

function noReads(after: 'effect' | 'receipt', count: number, attempts: number): Check {
  const found = `${counted(count, 'read')}; ${counted(attempts, 'attempt')} after the effect`;
  return { name: `no read after the ${after}`, passed: count === 0, found };
}

/** The control of both zeros. */
function control({ trials }: DrillRecord): Check {
  const blind = trials.flatMap(({ number, hosts }) =>
    hosts.flatMap(({ host, ways }) =>
      WAYS.filter((way) => ways[way].reads === 0 || ways[way].attemptsAfter === 0).map(
        (way) => `${way} on ${host} in trial ${number}`,
      ),
    ),
  );
  return {
    name: 'every way had read, and went on trying after the effect',
    passed: blind.length === 0,
    found: blind.length > 0 ? `not so: ${names(blind, 3)}` : 'each did, in every trial',
  };
}

function bound({ bound: { text, promisedMs, metMs, met } }: Figures): Check {
  const found =
    metMs === undefined
      ? 'not measured'
      : `promised ${milliseconds(promisedMs)}, at worst ${milliseconds(metMs)}`;
  const whole =
    metMs !== undefined && metMs <= promisedMs && !met ? `${found}, but not measured everywhere` : found;
  return { name: text, passed: met, found: whole };
}

function objectives({ slo }: Figures): readonly Check[] {
  return slo.map(({ text, met, valueMs }) => ({
    name: text,
    passed: met,
    found: valueMs === undefined ? 'not measured' : milliseconds(valueMs),
  }));
}
