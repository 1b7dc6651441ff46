// Documents that cost a reader more than they cost who wrote them, or that no reader should survive: each is refused with a
// code, by the parsers alone and by a client that is handed it, and no time is lost over it.
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { isLapseError } from '../../../manifest/errors.ts';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { sha256, signMetadata } from '../../../manifest/tuf/metadata.ts';
import type { Signer } from '../../../manifest/tuf/metadata.ts';
import { parseRoot } from '../../../manifest/tuf/root.ts';
import { parseSnapshot } from '../../../manifest/tuf/snapshot.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { parseTimestamp } from '../../../manifest/tuf/timestamp.ts';
import {
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import { KEYS, NOW, publishAll, rootJson, trust } from '../manifest/repository.ts';
import { damaged } from '../manifest/damaged.ts';
import { Stage, readable, versions } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

const utf8 = (text: string): Uint8Array => Buffer.from(text);
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

/** Serves these bytes as the next version of a namespace, signed for by the snapshot. */
function putBytes(role: string, version: number, bytes: Uint8Array): void {
  const named = { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
  stage.service.meta = { ...stage.service.meta, [`${role}.json`]: named };
  stage.service.files.set(`${version}.${role}.json`, bytes);
  stage.service.sign();
}

/** Signed by whoever should: what is wrong with it is only its size or its depth. */
const signed = (change: JsonObject): Uint8Array => stage.realm.draft('payments', change).roles[0]!.metadata;
const text = (change: JsonObject): string => Buffer.from(signed(change)).toString();

describe('deep and huge JSON', () => {
  test.for<[string, string, () => Uint8Array]>([
    ['nested too deep', 'json-too-deep', () => utf8(text({ more: '@' }).replace('"@"', nested(40)))],
    [
      'nested as deep as a stack',
      'json-too-deep',
      () => utf8(text({ more: '@' }).replace('"@"', nested(1_000_000))),
    ],
    ['never closed', 'json-too-deep', () => utf8('{"a":'.repeat(1_000_000))],
    [
      'more values than any',
      'json-too-many-values',
      () => utf8(text({ more: '@' }).replace('"@"', `[${'0,'.repeat(LIMITS.jsonValues)}0]`)),
    ],
    [
      'one endless string that nobody closes',
      'json-invalid',
      () => utf8(`{"signed":"${'\\"'.repeat(2_000_000)}`),
    ],
    [
      'a number of a million digits',
      'json-not-canonical',
      () => utf8(text({ more: '@' }).replace('"@"', '9'.repeat(1_000_000))),
    ],
    [
      'a number with an exponent',
      'json-not-canonical',
      () => utf8(text({ more: '@' }).replace('"@"', '1e999')),
    ],
    ['two documents', 'json-invalid', () => utf8(text({}) + text({}))],
    ['no UTF-8', 'json-invalid', () => Buffer.concat([signed({}), Buffer.of(0xff)])],
    ['a byte order mark', 'json-invalid', () => Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), signed({})])],
    [
      'half a surrogate pair',
      'json-not-canonical',
      () => utf8(text({ more: '@' }).replace('"@"', '"\\ud800"')),
    ],
  ])('a namespace %s', async ([, code, bytes]) => {
    await stage.failsAlone('payments', code, () => putBytes('payments', 2, bytes()));
  });

  test('a namespace of a byte more than any may have: it is not even taken in', () =>
    stage.failsAlone('payments', 'answer-too-large', () => {
      const fill = LIMITS.targetsBytes - signed({}).length;
      putBytes('payments', 2, utf8(text({}) + ' '.repeat(fill + 1)));
    }));

  test('a timestamp nested as deep as a stack', () =>
    stage.refuses('json-too-deep', () => {
      stage.service.files.set('timestamp.json', utf8(`{"signed":${nested(8000)}}`));
    }));
});

/** What stands in a part's place: anything, and often something that could stand there. */
const PART = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
  fc.constantFrom<Json>(0, 1, 2, 3, [], {}, '', 'deny', 'serve', 'web', 'db', true, false, null),
);

/** What cannot be signed, nobody signs; as bytes it is refused above. */
function isSignable(value: Json): boolean {
  return attempt(() => canonicalJson(value)) !== undefined;
}

/** What `act` returns, or the typed error that it throws; any other is a crash. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return undefined;
  }
}

describe('any bytes where TUF metadata is expected', () => {
  const before = trust(publishAll(1));
  const files = publishAll(2);
  const root = signMetadata(rootJson({ version: 2 }), [KEYS.root]);
  const named = updateSnapshot(updateTimestamp(before, files.timestamp, NOW), files.snapshot, NOW);

  interface Place {
    readonly parse: (bytes: Uint8Array) => unknown;
    readonly whole: Uint8Array;
    /** The state machine's step for it, and what that then trusts. */
    readonly step: (bytes: Uint8Array) => TrustedSet;
    readonly trusted: (set: TrustedSet) => { readonly raw: JsonObject } | undefined;
  }

  const places: Readonly<Record<string, Place>> = {
    root: {
      parse: parseRoot,
      whole: root,
      step: (bytes) => updateRoot(before, bytes),
      trusted: (set) => set.root,
    },
    'the first root': { parse: parseRoot, whole: files.root, step: trustRoot, trusted: (set) => set.root },
    timestamp: {
      parse: parseTimestamp,
      whole: files.timestamp,
      step: (bytes) => updateTimestamp(before, bytes, NOW),
      trusted: (set) => set.timestamp,
    },
    snapshot: {
      parse: parseSnapshot,
      whole: files.snapshot,
      step: (bytes) => updateSnapshot(updateTimestamp(before, files.timestamp, NOW), bytes, NOW),
      trusted: (set) => set.snapshot,
    },
    targets: {
      parse: parseTargets,
      whole: files.targets,
      step: (bytes) => updateTargets(named, 'targets', bytes, NOW),
      trusted: (set) => set.targets.get('targets'),
    },
  };

  /** A file with bytes replaced, cut out or doubled, in a few places. */
  const mutated = (whole: Uint8Array): fc.Arbitrary<Uint8Array> =>
    fc
      .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(12), fc.uint8Array({ maxLength: 12 })), {
        minLength: 1,
        maxLength: 4,
      })
      .map((edits) =>
        edits.reduce<Uint8Array>(
          (bytes, [at, less, more]) =>
            Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at + less)]),
          whole,
        ),
      );

  describe.for(Object.entries(places))('%s', ([, { parse, whole, step, trusted }]) => {
    const honest = trusted(step(whole))!.raw;

    test('random ones are refused', () => {
      const refused = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(attempt(() => parse(bytes))).toBeUndefined();
        expect(attempt(() => step(bytes))).toBeUndefined();
      });
      fc.assert(refused, { numRuns: 300 });
    });

    test('the honest ones, mutated, are refused, or say what was signed', () => {
      const sound = fc.property(mutated(whole), (bytes) => {
        attempt(() => parse(bytes));
        const set = attempt(() => step(bytes));
        if (set) expect(trusted(set)?.raw).toEqual(honest);
      });
      fc.assert(sound, { numRuns: 300 });
    });
  });
});

describe('any document that its rightful author signs', () => {
  const REVOKED = /^(payments|billing)\/db@1 /;
  let before: readonly string[];

  beforeEach(async () => {
    const { service, realm } = stage;
    service.put(await realm.put('payments', 'db'));
    service.put(realm.revoke('payments', 'db', 1));
    service.put(realm.takeBack('billing', 'db', 1));
    await stage.updater.refresh();
    await stage.updater.persist();
    before = readable(stage.updater.state);
  });

  test.for(['payments', 'billing', 'billing-revoker', 'fleet', 'fleet-hosts', 'targets'])(
    '%s: it is read or refused, brings nothing back, and harms no other namespace',
    { timeout: 60_000 },
    async (role) => {
      const { raw } = stage.realm.role(role);
      const version = (raw['version'] as number) + 1;
      const signer: Signer = stage.realm.signer(role);
      const reaches = role === 'targets' ? '' : `${role.replace(/-revoker$/, '')}/`;
      const sound = fc.asyncProperty(damaged(raw, PART).filter(isSignable), async (part) => {
        const undo = stage.checkpoint();
        const updater = await stage.open();
        const known = versions(updater.state.set);
        putBytes(role, version, signMetadata({ ...(part as JsonObject), version }, [signer]));
        const state = await updater.refresh().catch((error: unknown) => {
          expect(isLapseError(error), String(error)).toBe(true);
          return undefined;
        });
        undo();
        if (!state) {
          expect(versions(updater.state.set)).toEqual(known);
          return;
        }
        expect(readable(state).filter((path) => REVOKED.test(path))).toEqual([]);
        const others = (paths: readonly string[]) => paths.filter((path) => !path.startsWith(reaches));
        expect(others(readable(state))).toEqual(others(before));
      });
      await fc.assert(sound, { numRuns: 30, endOnFailure: true });
    },
  );
});
