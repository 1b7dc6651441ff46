// How canonical JSON spells numbers and strings, and in which order it has keys: what `canonical-json.ts`, which makes it of
// values, and `json-scan.ts`, which makes it of text, have in common.
import { ManifestError } from './errors.ts';

/** @throws ManifestError json-not-canonical */
export function checkNumber(value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return;
  throw new ManifestError('json-not-canonical', 'a number that is not a safe integer');
}

/** @throws ManifestError json-not-canonical */
export function encodeString(text: string): string {
  if (!text.isWellFormed()) throw new ManifestError('json-not-canonical', 'a string with a lone surrogate');
  const isPlain = !text.includes('"') && !text.includes('\\');
  return isPlain ? `"${text}"` : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The order of code points, for well-formed strings; below zero: `a` comes first. */
export function compareKeys(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Of a UTF-16 unit among those that may stand in its place: surrogates spell what lies above U+FFFF. */
export function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
