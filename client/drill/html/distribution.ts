// How large a share of the trials was over by when: a curve for the last read in each way, and one for the receipt. Curves
// differ by their strokes, not by colour alone, and the legend has their numbers.
import type { DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { WAYS } from '../../../manifest/realm/drill/statement.ts';
import { lastReadFigure, stageFigure } from '../figures.ts';
import { element, escapeMarkup } from '../markup.ts';
import { aligned } from '../words.ts';
import { positionScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { WIDTH, grid, line, picture, place, shape, text } from './svg.ts';

const TOP = 14;
const BOTTOM = 300;
const HEIGHT = 350;
const ROOM = { from: 56, to: WIDTH - 16 };
/** As many points as a curve can show. */
const POINTS = 400;

const CURVES = [
  ...WAYS.map((way) => ({ name: `last read, ${way}`, style: way, figure: lastReadFigure(way) })),
  { name: 'receipt stored', style: 'receipt', figure: stageFigure('receiptStored') },
];

interface Curve {
  readonly name: string;
  readonly style: string;
  /** In words. */
  readonly figures: string;
  /** Milliseconds, ascending. */
  readonly values: Float64Array;
}

export function distribution(summary: DrillSummary, values: ReadonlyMap<string, Float64Array>): string {
  const curves = curvesOf(summary, values);
  if (curves.length === 0) return '';
  const least = Math.min(...curves.map((curve) => curve.values[0] ?? 0));
  const most = Math.max(...curves.map((curve) => curve.values.at(-1) ?? 0));
  const scale = positionScale(least, most, ROOM, 8);
  const drawing = picture(
    'distribution',
    HEIGHT,
    'Share of the trials that were over, by time since clock zero',
    curves.map(({ name, figures }) => `${name}: ${figures}`).join('; '),
    grid(scale, TOP, BOTTOM, BOTTOM + 20),
    ...shares(),
    text((ROOM.from + ROOM.to) / 2, BOTTOM + 42, 'tick', axis(scale), 'middle'),
    ...curves.map((curve) => shape('path', { d: steps(curve.values, scale), class: `curve ${curve.style}` })),
  );
  return legend(curves) + drawing;
}

function curvesOf({ ms }: DrillSummary, values: ReadonlyMap<string, Float64Array>): readonly Curve[] {
  const known = CURVES.flatMap((curve) => {
    const [us, spread] = [values.get(curve.figure), ms[curve.figure]];
    return us && spread ? [{ ...curve, spread, values: us.map((each) => each / 1000) }] : [];
  });
  const p50 = aligned(known.map(({ spread }) => spread.p50));
  const p99 = aligned(known.map(({ spread }) => spread.p99));
  return known.map((curve, i) => ({
    ...curve,
    figures: `median ${p50[i] ?? ''} ms, p99 ${p99[i] ?? ''} ms`,
  }));
}

function shares(): readonly string[] {
  return [0, 25, 50, 75, 100].map((percent) => {
    const y = height(percent / 100);
    return line(ROOM.from, y, ROOM.to, y, 'grid') + text(ROOM.from - 8, y + 4, 'tick', `${percent} %`, 'end');
  });
}

function axis({ isLog }: Scale): string {
  return `milliseconds since clock zero${isLog ? ', logarithmic' : ''}`;
}

/** Rises at each value; of very many, at some that are evenly spread by rank, the first and the last among them. */
function steps(values: Float64Array, scale: Scale): string {
  const count = values.length;
  const every = Math.max(1, count / POINTS);
  let path = `M${place(scale.at(values[0] ?? 0))} ${BOTTOM}`;
  for (
    let rank = 1;
    rank <= count;
    rank = rank === count ? count + 1 : Math.min(count, Math.ceil(rank + every))
  ) {
    path += `H${place(scale.at(values[rank - 1] ?? 0))}V${place(height(rank / count))}`;
  }
  return path;
}

function height(share: number): number {
  return BOTTOM - share * (BOTTOM - TOP);
}

function legend(curves: readonly Curve[]): string {
  const entries = curves.map(({ name, style, figures }) =>
    element(
      'li',
      {},
      `<svg class="sample" viewBox="0 0 36 10" aria-hidden="true"><path d="M1 5H35" class="curve ${style}"></path></svg>`,
      element('span', {}, `${escapeMarkup(name)} ${element('small', {}, escapeMarkup(figures))}`),
    ),
  );
  return element('ul', { class: 'legend' }, ...entries);
}
