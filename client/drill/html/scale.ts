// Axes: from milliseconds to places in a picture, with ticks at round numbers. Linear, or logarithmic where the values span more
// than a person can see on a linear one.

import { grouped, short } from '../words.ts';

export interface Scale {
  readonly ticks: readonly number[];
  readonly isLog: boolean;
  /** How a tick is written: with as many digits as it takes to tell it from the next one. */
  label(tick: number): string;
  /** The place of a value; values outside of the axis are put at its ends. */
  at(value: number): number;
}

export interface Room {
  readonly from: number;
  readonly to: number;
}

/** From the greatest to the least value: above it, a linear axis hides the small ones. */
const WIDE = 40;
/** Nothing is drawn below 10 µs on a logarithmic axis. */
const LEAST_LOG = 0.01;
const STEPS = [1, 2, 5, 10];

/** An axis for lengths: it begins at zero. */
export function lengthScale(most: number, room: Room, count = 7): Scale {
  return linear(0, most, room, count);
}

/** An axis for positions: it begins near the least value. */
export function positionScale(least: number, most: number, room: Room, count = 7): Scale {
  const isWide = most / Math.max(least, LEAST_LOG) > WIDE;
  return isWide ? logarithmic(Math.max(least, LEAST_LOG), most, room) : linear(least, most, room, count);
}

function linear(least: number, most: number, { from, to }: Room, count: number): Scale {
  const span = Math.max(most - least, most / 200, 0.1);
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((each) => each * power >= rough) ?? 10);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.ceil((least + span) / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
  const [low, high] = [first * step, last * step];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    ticks,
    isLog: false,
    label: (tick) => grouped(tick.toFixed(digits)),
    at: (value) => from + share(value, low, high) * (to - from),
  };
}

function logarithmic(least: number, most: number, { from, to }: Room): Scale {
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most) - 1e-9)];
  const decades = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  const within = decades.length > 4 ? [1] : [1, 2, 5];
  const ticks = decades
    .flatMap((power) => within.map((each) => Number((each * power).toPrecision(3))))
    .filter((tick) => tick <= 10 ** last);
  const place = (value: number): number => share(Math.log10(Math.max(value, 10 ** first)), first, last);
  return { ticks, isLog: true, label: short, at: (value) => from + place(value) * (to - from) };
}

function share(value: number, low: number, high: number): number {
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}
