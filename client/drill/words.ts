// How a drill's report writes times, counts and lists: the same in the terminal, in JUnit and on the page.

/** `0.41 ms`, `48.2 ms`, `812 ms`, `3.02 s`, `60 s`: three significant digits where there are as many. */
export function milliseconds(ms: number): string {
  return Math.abs(ms) < 999.5 ? `${short(ms)} ms` : `${short(ms / 1000)} s`;
}

/** `0.41`, `4.21`, `48.2`, `812`; without zeros at the end. */
export function short(value: number): string {
  const size = Math.abs(value);
  const digits = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return grouped(String(Number(value.toFixed(digits))));
}

/** Two digits behind the point, for columns, where seven characters allow it: `48.20`. */
export function fixed(ms: number): string {
  return ms < 9_999.995 ? ms.toFixed(2) : ms.toFixed(0);
}

/** Numbers of one column: all with as many digits behind the point as its greatest one deserves. */
export function aligned(values: readonly number[]): readonly string[] {
  const most = Math.max(...values);
  const digits = most < 99.995 ? 2 : most < 999.95 ? 1 : 0;
  return values.map((value) => grouped(value.toFixed(digits)));
}

/** `1 host`, `1,000 hosts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(String(count))} ${count === 1 ? one : many}`;
}

/** The first few of a list, and how many more there are. */
export function names(list: readonly string[], most = 10): string {
  const more = list.length - most;
  return list.slice(0, most).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** `812,331` */
export function grouped(digits: string): string {
  return digits.replace(/^-?\d+/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ','));
}

/** `2026-11-27 02:10:14 UTC` */
export function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
