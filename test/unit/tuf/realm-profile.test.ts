// What TUF allows and a realm does not: repositories without consistent snapshots, files without a sha256, hash bins.
import { expect, test } from 'vitest';
import { ManifestError } from '../../../manifest/errors.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import { readRealm, realmId } from '../../../manifest/realm/realm.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import { Simulator } from '../../conformance/simulator.ts';

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ManifestError) return error.code;
    throw error;
  }
}

test.for([true, false])('consistent snapshots: %s', (consistent) => {
  const { root } = trustRoot(new Simulator({ consistent }).newest('root'));
  expect(root.role.consistentSnapshot).toBe(consistent);
  expect(codeOf(() => realmId(root))).toBe(consistent ? undefined : 'metadata-malformed');
});

test('a secret whose envelope is listed without a sha256', () => {
  const repository = new Simulator();
  repository.addTarget('targets', 'payments/a@1', 'envelope', ['sha512']);
  const custom = {
    version: 1,
    grants: [],
    timing: { overlap: { seconds: 0 } },
    revokedThrough: 0,
    revoked: [],
    keys: [{ kid: 'A'.repeat(43), epoch: 1, jwe: 'a.b.c.d.e' }],
  };
  Object.assign((repository.draft('targets')['targets'] as Record<string, object>)['payments/a@1']!, {
    custom,
  });
  repository.publish('targets');
  const { role } = parseTargets(repository.newest('targets'));
  expect(codeOf(() => readSecrets(role, parseNamespace('payments')))).toBe('metadata-malformed');
});

test('targets that delegate to hash bins', () => {
  const repository = new Simulator();
  repository.delegateSuccinctly('targets', 4, 'bin', []);
  repository.publish('targets');
  const bytes = repository.newest('targets');
  const { file, role } = parseTargets(bytes);
  expect(codeOf(() => readRealm({ bytes, sha256: sha256(bytes), raw: file.raw, role }))).toBe(
    'fleet-malformed',
  );
});
