// A strip for each host: a dot for each trial, to the right where its last read was later, from the first trial at the top to the
// last at the bottom, so that a host that grew slow, or is slow as such, is seen. Trials with a late read are crosses.
import type { HostName } from '../../../manifest/names.ts';
import type { DrillRecord, DrillSummary, HostTrial } from '../../../manifest/realm/drill/report.ts';
import { WAYS } from '../../../manifest/realm/drill/statement.ts';
import { FIGURES } from '../figures.ts';
import { nearestRank } from '../spread.ts';
import { aligned, milliseconds } from '../words.ts';
import { positionScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { WIDTH, grid, hint, line, picture, place, shape, text } from './svg.ts';

/** More would be no picture: the slowest are shown. */
const MOST_STRIPS = 40;
/** Of more trials, evenly spread ones are shown, and every one with a late read. */
const MOST_DOTS = 1000;
const LONGEST_NAME = 26;

const ROW = 40;
const TOP = 44;
const ROOM = { from: 236, to: 790 };
const P50_AT = 872;
const MAX_AT = WIDTH - 8;

interface Dot {
  readonly ms: number;
  /** From 0, the first trial, to 1. */
  readonly when: number;
  readonly isLate: boolean;
}

interface Strip {
  readonly host: HostName;
  readonly dots: readonly Dot[];
  readonly min: number;
  readonly p50: number;
  readonly max: number;
}

export function strips(summary: DrillSummary, record: DrillRecord): string {
  const all = stripsOf(record);
  const shown = [...all].sort((a, b) => b.max - a.max).slice(0, MOST_STRIPS);
  const ordered = all.filter((strip) => shown.includes(strip));
  const overall = summary.ms['zeroToLastRead'];
  if (ordered.length === 0 || !overall) return '';
  const least = Math.min(...ordered.map((strip) => strip.min));
  const scale = positionScale(least, overall.max, ROOM);
  const bottom = TOP + ordered.length * ROW;
  const p50 = aligned(ordered.map((strip) => strip.p50));
  const max = aligned(ordered.map((strip) => strip.max));
  return picture(
    'strips',
    bottom + 8,
    'The last read of each trial, by host',
    ordered
      .map(({ host, p50, max }) => `${host}: median ${milliseconds(p50)}, max ${milliseconds(max)}`)
      .join('; '),
    head(scale),
    grid(scale, TOP - 4, bottom, TOP - 12),
    ...ordered.map((strip, i) => drawn(strip, TOP + i * ROW, scale)),
    ...ordered.map((_, i) => numbers(TOP + i * ROW, p50[i] ?? '', max[i] ?? '')),
  );
}

/** How many hosts have no strip, because too many others were slower. */
export function withoutStrip(record: DrillRecord): number {
  return Math.max(0, stripsOf(record).length - MOST_STRIPS);
}

function stripsOf({ trials }: DrillRecord): readonly Strip[] {
  const measure = FIGURES.get('zeroToLastRead');
  const byHost = new Map<HostName, Dot[]>();
  trials.forEach(({ hosts }, i) => {
    for (const host of hosts) {
      const us = measure?.(host);
      if (us === undefined) continue;
      const dots = byHost.get(host.host) ?? [];
      dots.push({
        ms: us / 1000,
        when: trials.length > 1 ? i / (trials.length - 1) : 0.5,
        isLate: hasLate(host),
      });
      byHost.set(host.host, dots);
    }
  });
  return [...byHost].map(([host, dots]) => {
    const values = Float64Array.from(dots.map(({ ms }) => ms)).sort();
    return { host, dots, min: values[0] ?? 0, p50: nearestRank(values, 500), max: values.at(-1) ?? 0 };
  });
}

function hasLate({ ways, readsAfterReceipt }: HostTrial): boolean {
  return readsAfterReceipt > 0 || WAYS.some((way) => ways[way].late > 0);
}

function head({ isLog }: Scale): string {
  const axis = `last read in milliseconds since clock zero${isLog ? ', logarithmic' : ''}`;
  return (
    text((ROOM.from + ROOM.to) / 2, 14, 'tick', axis, 'middle') +
    text(P50_AT, TOP - 12, 'tick', 'median', 'end') +
    text(MAX_AT, TOP - 12, 'tick', 'max', 'end')
  );
}

function drawn({ host, dots, p50, max }: Strip, y: number, scale: Scale): string {
  const every = Math.ceil(dots.length / MOST_DOTS);
  const at = ({ ms, when }: Dot): string => `${place(scale.at(ms))} ${place(y + 5 + when * (ROW - 10))}`;
  const calm = dots.filter(({ isLate }, i) => !isLate && i % every === 0).map((dot) => `M${at(dot)}h0`);
  const late = dots.filter(({ isLate }) => isLate).map((dot) => `M${at(dot)}m-4 -4l8 8m0 -8l-8 8`);
  const name = host.length > LONGEST_NAME ? `${host.slice(0, LONGEST_NAME - 1)}…` : host;
  return hint(
    `${host}: ${dots.length} trials, median ${milliseconds(p50)}, max ${milliseconds(max)}, ${late.length} with a late read`,
    line(0, y, WIDTH, y, 'divider'),
    text(0, y + 24, 'label', name),
    shape('path', { d: calm.join(''), class: 'dots' }),
    line(scale.at(p50), y + 4, scale.at(p50), y + ROW - 4, 'middle'),
    shape('path', { d: late.join(''), class: 'late' }),
  );
}

function numbers(y: number, p50: string, max: string): string {
  return text(P50_AT, y + 24, 'number', p50, 'end') + text(MAX_AT, y + 24, 'number', max, 'end');
}
