// A file of one role shown in another's place, signed by the keys of the place (TUF 1.0.34 §4.1, `_type`).
import { expect, test } from 'vitest';
import { parseRoot } from '../../../manifest/tuf/root.ts';
import { parseSnapshot } from '../../../manifest/tuf/snapshot.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { parseTimestamp } from '../../../manifest/tuf/timestamp.ts';
import { updateRoot, updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publish,
  publishAll,
  resign,
  rootJson,
  timestampJson,
  trust,
} from './repository.ts';

const files = publish();
const parsers = {
  root: parseRoot,
  timestamp: parseTimestamp,
  snapshot: parseSnapshot,
  targets: parseTargets,
};
type Role = keyof typeof parsers;
const roles = Object.keys(parsers) as Role[];

test.for(roles.flatMap((shown) => roles.map((wanted) => [shown, wanted] as const)))(
  '%s as %s',
  ([shown, wanted]) => {
    const code = codeOf(() => parsers[wanted](files[shown]));
    expect(code).toBe(shown === wanted ? undefined : 'metadata-type');
  },
);

test('a snapshot signed by the timestamp key is no timestamp', () => {
  const attack = resign(
    { ...timestampJson({ version: 2 }, { version: 2 }), _type: 'snapshot' },
    KEYS.timestamp,
  );
  expectRefused(
    trust(files),
    'metadata-type',
    (set) => updateTimestamp(set, attack, NOW),
    (set) => updateTimestamp(set, publishAll(2).timestamp, NOW),
  );
});

test('targets signed by the root key are no root', () => {
  const attack = resign({ ...rootJson({ version: 2 }), _type: 'targets' }, KEYS.root);
  expectRefused(
    trust(files),
    'metadata-type',
    (set) => updateRoot(set, attack),
    (set) => updateRoot(set, resign(rootJson({ version: 2 }), KEYS.root)),
  );
});

test.for([
  ['Root', 'metadata-type'],
  [7, 'metadata-type'],
  [null, 'metadata-type'],
] as const)('_type %s', ([type, code]) => {
  expect(codeOf(() => parseRoot(resign(rootJson({ _type: type }), KEYS.root)))).toBe(code);
});

test.for(['2.0.0', '1', '1.0.0.0', '1.0\n', '01.0', 'v1.0.0', ''])('spec_version %j', (version) => {
  const code = codeOf(() => parseRoot(resign(rootJson({ spec_version: version }), KEYS.root)));
  expect(code).toBe('spec-version-unsupported');
});

test.for(['1.0', '1.0.34', '1.99.0'])('spec_version %j is understood', (version) => {
  expect(codeOf(() => parseRoot(resign(rootJson({ spec_version: version }), KEYS.root)))).toBeUndefined();
});
