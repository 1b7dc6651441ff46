// A trend in one line of text, from Unicode's eight blocks. The scale begins at zero, so that a bar of half the height is half
// the time; the smallest value still has a bar, since nothing at all means nothing measured.
const BLOCKS = '▁▂▃▄▅▆▇█';

/** One block a value; a blank where there is none. */
export function sparkline(values: readonly (number | undefined)[]): string {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  return values.map((value) => (value === undefined ? ' ' : blockOf(value, highest))).join('');
}

function blockOf(value: number, highest: number): string {
  const level = highest > 0 ? Math.ceil((value / highest) * BLOCKS.length) : 1;
  return BLOCKS.charAt(Math.max(1, level) - 1);
}
