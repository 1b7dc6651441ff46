// The waterfall: each stage as a bar from where the one before it ended (both at the median), with a line to its p99; below, the
// last reads that the probes saw. What reaches beyond the picture ends in an arrow, and its number stands beside it.
import { STAGES } from '../../../manifest/realm/drill/report.ts';
import type { DrillSummary, Spread } from '../../../manifest/realm/drill/report.ts';
import { stageFigure } from '../figures.ts';
import { measuredRows } from '../rows.ts';
import type { Row } from '../rows.ts';
import { aligned, milliseconds } from '../words.ts';
import { lengthScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { WIDTH, grid, hint, line, picture, place, shape, text } from './svg.ts';

const ROW = 26;
const TOP = 44;
const ROOM = { from: 236, to: 790 };
const CLOCK_AT = 222;
const P50_AT = 872;
const P99_AT = WIDTH - 8;
/** From the greatest p99 to the greatest median: above it, the picture ends earlier. */
const FAR = 6;

const STAGE_FIGURES: ReadonlySet<string> = new Set(STAGES.map(stageFigure));

type Measured = Row & {
  readonly spread: Spread;
  /** The median and the p99, as they are written. */
  readonly p50: string;
  readonly p99: string;
};

export function waterfall(summary: DrillSummary): string {
  const rows = rowsOf(summary);
  if (rows.length === 0) return '';
  const stages = rows.filter(({ figure }) => STAGE_FIGURES.has(figure));
  const reads = rows.filter(({ figure }) => !STAGE_FIGURES.has(figure));
  const scale = lengthScale(farthest(rows.map(({ spread }) => spread)), ROOM);
  const bottom = TOP + rows.length * ROW + (reads.length > 0 ? ROW / 2 : 0);
  const readsTop = TOP + stages.length * ROW + ROW / 2;
  return picture(
    'waterfall',
    bottom + 34,
    'Stages since clock zero',
    rows
      .map(
        ({ label, spread }) =>
          `${label}: median ${milliseconds(spread.p50)}, p99 ${milliseconds(spread.p99)}`,
      )
      .join('; '),
    head(),
    grid(scale, TOP - 4, bottom, TOP - 12),
    ...effect(summary, scale, bottom),
    ...bars(stages, scale),
    ...(reads.length > 0 && stages.length > 0
      ? [line(0, readsTop - ROW / 4, WIDTH, readsTop - ROW / 4, 'divider')]
      : []),
    ...reads.map((row, i) => dot(row, readsTop + i * ROW, scale)),
  );
}

function rowsOf(summary: DrillSummary): readonly Measured[] {
  const rows = measuredRows(summary)
    .flatMap((group) => group.rows)
    .filter(({ figure }) => STAGE_FIGURES.has(figure) || /^zeroTo(LastRead\.|FirstNew)/.test(figure));
  const p50 = aligned(rows.map(({ spread }) => spread.p50));
  const p99 = aligned(rows.map(({ spread }) => spread.p99));
  return rows.map((row, i) => ({ ...row, p50: p50[i] ?? '', p99: p99[i] ?? '' }));
}

function farthest(spreads: readonly Spread[]): number {
  const p50 = Math.max(...spreads.map((spread) => spread.p50));
  const p99 = Math.max(...spreads.map((spread) => spread.p99));
  return p99 > p50 * FAR ? p50 * (FAR / 2) : p99;
}

function head(): string {
  return (
    text(CLOCK_AT, TOP - 12, 'tick', 'clock', 'end') +
    text((ROOM.from + ROOM.to) / 2, 14, 'tick', 'milliseconds since clock zero', 'middle') +
    text(P50_AT, TOP - 12, 'tick', 'median', 'end') +
    text(P99_AT, TOP - 12, 'tick', 'p99', 'end')
  );
}

/** The moment from which on no read may succeed. */
function effect({ ms }: DrillSummary, scale: Scale, bottom: number): readonly string[] {
  const invalidated = ms[stageFigure('invalidated')];
  if (!invalidated) return [];
  const x = scale.at(invalidated.p50);
  const isRight = x > (ROOM.from + ROOM.to) / 2;
  return [
    line(x, TOP - 4, x, bottom + 24, 'effect'),
    text(
      x + (isRight ? -6 : 6),
      bottom + 20,
      'note',
      'effect: from here on no read of it may succeed',
      isRight ? 'end' : 'start',
    ),
  ];
}

/** Some stages overlap: what ended before its neighbour is shown as a mark. */
function bars(rows: readonly Measured[], scale: Scale): readonly string[] {
  let before = 0;
  return rows.map((row, i) => {
    const { clock, spread } = row;
    const y = TOP + i * ROW;
    const from = scale.at(Math.min(before, spread.p50));
    const x = spread.p50 < before ? scale.at(spread.p50) - 1.5 : from;
    const width = Math.max(3, scale.at(spread.p50) - x);
    before = Math.max(before, spread.p50);
    return whole(
      row,
      y,
      whisker(spread, y, scale) +
        shape('rect', {
          x: place(x),
          y: y + 6,
          width: place(width),
          height: 14,
          rx: 2,
          class: `bar ${clock}`,
        }),
    );
  });
}

function dot(row: Measured, y: number, scale: Scale): string {
  const x = place(scale.at(row.spread.p50));
  const mark = shape('path', { d: `M${x} ${y + 7}l6 6l-6 6l-6 -6z`, class: `bar ${row.clock}` });
  return whole(row, y, whisker(row.spread, y, scale) + mark);
}

function whisker({ p50, p99 }: Spread, y: number, scale: Scale): string {
  const [from, to, middle] = [scale.at(p50), scale.at(p99), y + 13];
  const last = scale.ticks.at(-1) ?? 0;
  const end =
    p99 > last
      ? shape('path', { d: `M${place(to - 6)} ${middle - 4}l6 4l-6 4`, class: 'whisker' })
      : line(to, middle - 4, to, middle + 4, 'whisker');
  return line(from, middle, to, middle, 'whisker') + end;
}

function whole({ label, clock, spread, p50, p99 }: Measured, y: number, drawing: string): string {
  const all = `${label}: median ${milliseconds(spread.p50)}, p90 ${milliseconds(spread.p90)}, p99 ${milliseconds(spread.p99)}, max ${milliseconds(spread.max)}`;
  return hint(
    all,
    text(0, y + 17, 'label', label),
    text(CLOCK_AT, y + 17, 'tick', clock, 'end'),
    drawing,
    text(P50_AT, y + 17, 'number', p50, 'end'),
    text(P99_AT, y + 17, 'number', p99, 'end'),
  );
}
