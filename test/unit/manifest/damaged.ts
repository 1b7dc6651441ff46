// For property tests: a JSON document with one of its parts, however deep, replaced by anything. What surrounds the damage
// is whole, so that readers get past it and meet what is wrong deep inside.
import fc from 'fast-check';
import type { Json, JsonObject } from '../../../manifest/json.ts';

const anything = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;

/** A document with one member, however deep, replaced by `value`. */
export function damaged(whole: Json, value = anything): fc.Arbitrary<Json> {
  return fc.tuple(fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), value).map(([steps, part]) => {
    return replaced(whole, steps, part);
  });
}

function replaced(whole: Json, [step, ...deeper]: readonly number[], value: Json): Json {
  if (step === undefined || typeof whole !== 'object' || whole === null) return value;
  const keys = Object.keys(whole);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return value;
  const inner = replaced((whole as JsonObject)[key] as Json, deeper, value);
  if (!Array.isArray(whole)) return { ...(whole as JsonObject), [key]: inner };
  return (whole as readonly Json[]).with(Number(key), inner);
}
