// Names that two could claim, that JavaScript would answer for, or that stand twice: each means one thing to every
// reader, or the file that carries it is refused.
import { beforeEach, describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parseSecretName } from '../../../manifest/names.ts';
import { FLEET, namespaceTerms, redelegateNamespace } from '../../../manifest/realm/realm.ts';
import { object } from '../../../manifest/shape.ts';
import { ed25519KeyJson } from '../../../manifest/tuf/keys.ts';
import { sha256, signMetadata } from '../../../manifest/tuf/metadata.ts';
import { makeSigner } from '../../support/realm.ts';
import { PAYMENTS, Stage, readable } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

const put = (role: string, change: JsonObject): unknown => stage.service.put(stage.realm.draft(role, change));
const delegations = (role = 'targets'): { keys: JsonObject; roles: readonly JsonObject[] } =>
  stage.realm.role(role).raw['delegations'] as never;

/** Puts these bytes in the place of a role's next version, signed for by the snapshot. */
function putBytes(role: string, version: number, bytes: Uint8Array): void {
  const named = { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
  stage.service.meta = { ...stage.service.meta, [`${role}.json`]: named };
  stage.service.files.set(`${version}.${role}.json`, bytes);
  stage.service.sign();
}

/** A timestamp that names these bytes as its snapshot. */
function putSnapshot(version: number, snapshot: Uint8Array): void {
  const { files, keys } = stage.service;
  const { signed } = JSON.parse(Buffer.from(files.get('timestamp.json')!).toString()) as {
    signed: JsonObject;
  };
  const named = { version, length: snapshot.length, hashes: { sha256: sha256(snapshot) } };
  files.set(`${version}.snapshot.json`, snapshot);
  files.set(
    'timestamp.json',
    signMetadata({ ...signed, version, meta: { 'snapshot.json': named } }, [keys.timestamp]),
  );
}

const edited = (file: Uint8Array, from: string | RegExp, to: string): Uint8Array => {
  const text = Buffer.from(file).toString();
  const next = text.replace(from, to);
  expect(next).not.toBe(text);
  return Buffer.from(next);
};
const draft = (role: string): Uint8Array => stage.realm.draft(role, {}).roles[0]!.metadata;

describe('a name claimed by two namespaces', () => {
  test('a namespace that lists another’s secret, beside its own', () =>
    stage.failsAlone('payments', 'path-outside-role', () => {
      const entry = stage.realm.targets('billing')['billing/db@1']!;
      put('payments', { targets: { ...stage.realm.targets('payments'), 'billing/db@2': entry } });
    }));

  test.for([
    'payments/../billing/db@2',
    'payments//db@2',
    'payments/db@02',
    'payments/db@2 ',
    'PAYMENTS/db@2',
    '/payments/db@2',
    'payments/db',
  ])('a path that some reader could take for another’s: %s', (path) =>
    stage.failsAlone('payments', path === 'payments/db' ? 'path-outside-role' : 'name-invalid', () => {
      const entry = stage.realm.targets('payments')['payments/db@1']!;
      put('payments', { targets: { ...stage.realm.targets('payments'), [path]: entry } });
    }),
  );

  test('targets that delegate one namespace’s path to another', () =>
    stage.refuses('path-outside-role', () => {
      const roles = delegations().roles.map((role) =>
        role['name'] === 'payments' ? { ...role, paths: ['payments/*', 'billing/*'] } : role,
      );
      put('targets', { delegations: { ...delegations(), roles } });
    }));

  test('targets that delegate one name twice', () =>
    stage.refuses('metadata-malformed', () => {
      const roles = [...delegations().roles, { ...delegations().roles.at(-1)!, name: 'payments' }];
      put('targets', { delegations: { ...delegations(), roles } });
    }));
});

describe('the same role under two delegators', () => {
  test('fleet delegates to a namespace, too: it is no fleet, and the namespace obeys its own keys', async () => {
    const evil = makeSigner();
    const { keys, roles } = delegations(FLEET);
    const claim = {
      name: 'payments',
      keyids: [evil.keyid],
      threshold: 1,
      terminating: true,
      paths: ['payments/*'],
    };
    const table = { ...keys, [evil.keyid]: ed25519KeyJson(evil.publicHex) };
    await stage.failsAlone(FLEET, 'fleet-malformed', () =>
      put(FLEET, { delegations: { keys: table, roles: [...roles, claim] } }),
    );
    stage.service.put(stage.realm.draft('payments', {}, { signer: evil }));
    const state = await stage.updater.refresh();
    expect(state.failures.get('payments')?.code).toBe('signature-threshold');
    expect(state.secrets.has(PAYMENTS)).toBe(false);
  });

  test('targets delegate to fleet-hosts, too', () =>
    stage.refuses('name-invalid', () => {
      const hosts = { ...delegations(FLEET).roles[0]!, keyids: [makeSigner().keyid] };
      put('targets', { delegations: { ...delegations(), roles: [...delegations().roles, hosts] } });
    }));
});

describe('prototype names', () => {
  test.for(['constructor', 'tostring', 'valueof'])(
    'a namespace named %s is one like any other',
    async (name) => {
      stage.service.put(stage.realm.delegate(name, { revoker: true }));
      stage.service.put(await stage.realm.put(name, 'constructor'));
      stage.service.put(await stage.realm.put(name, 'toString'));
      stage.service.put(stage.realm.takeBack(name, 'constructor', 1));
      await stage.updater.refresh();
      await stage.updater.persist();
      for (const updater of [stage.updater, await stage.open()]) {
        const { secrets, failures } = await updater.refresh();
        expect(failures.size).toBe(0);
        const all = secrets.get(parseNamespace(name))!;
        expect(all.get(parseSecretName('constructor'))).toMatchObject({ revokedThrough: 1 });
        expect(all.get(parseSecretName('toString'))?.newest?.version).toBe(1);
      }
    },
  );

  test('a namespace named constructor has no policy that it did not sign for', () =>
    stage.refuses('metadata-malformed', () => {
      const roles = delegations().roles.map((role) =>
        role['name'] === 'payments' ? { ...role, name: 'constructor', paths: ['constructor/*'] } : role,
      );
      put('targets', { delegations: { ...delegations(), roles } });
    }));

  test('a role named constructor that nobody delegated to is not found', async () => {
    const before = readable(stage.updater.state);
    putBytes('constructor', 1, draft('payments'));
    const state = await stage.updater.refresh();
    expect([...state.set.targets.keys()]).not.toContain('constructor');
    expect(readable(state)).toEqual(before);
  });

  test('a role named __proto__, in a snapshot', () =>
    stage.refuses('json-forbidden-key', () => {
      const name = `${stage.service.version}.snapshot.json`;
      const bytes = edited(stage.service.files.get(name)!, '"payments.json":', '"__proto__":');
      putSnapshot(++stage.service.version, bytes);
    }));

  test('a target named __proto__, or with such a member', async () => {
    for (const key of ['"__proto__"', '"\\u005f_proto__"', '"__pro\\u0074o__"']) {
      stage = await Stage.set();
      await stage.failsAlone('payments', 'json-forbidden-key', () => {
        putBytes('payments', 2, edited(draft('payments'), '"custom":{', `"custom":{${key}:{"keys":[]},`));
      });
    }
  });

  test('a secret named __proto__, by a revoker', () =>
    stage.failsAlone(
      'billing',
      'json-forbidden-key',
      () => {
        const file = stage.realm.draft('billing-revoker', { withdrawals: { db: 1 } }).roles[0]!.metadata;
        putBytes('billing-revoker', 1, edited(file, '"db"', '"__proto__"'));
      },
      () => put('billing-revoker', { withdrawals: {} }),
    ));

  test('nobody’s prototype was changed', () => {
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)['keys']).toBeUndefined();
  });
});

describe('duplicate keys', () => {
  test.for<[string, string, string]>([
    ['a floor that stands twice', '"revokedThrough":0', '"revokedThrough":1,"revokedThrough":0'],
    [
      'a floor that stands twice, spelled otherwise',
      '"revokedThrough":0',
      '"revokedThrough":0,"revokedThr\\u006fugh":1',
    ],
    ['a target that stands twice', '"targets":{', '"targets":{"payments/db@1":{},'],
    ['a version that stands twice', '"version":2', '"version":2,"version":2'],
  ])('in JSON: %s', ([, from, to]) =>
    stage.failsAlone('payments', 'json-duplicate-key', () => {
      putBytes('payments', 2, edited(draft('payments'), from, to));
    }),
  );

  test('by id: one signature under its id twice', () =>
    stage.failsAlone('payments', 'metadata-malformed', () => {
      const signer = stage.realm.signer('payments');
      const { raw } = stage.realm.role('payments');
      putBytes('payments', 2, signMetadata({ ...raw, version: 2 }, [signer, signer]));
    }));

  test('by id: one key id of a role twice', () =>
    stage.refuses('metadata-malformed', () => {
      const roles = delegations().roles.map((role) =>
        role['name'] === 'payments'
          ? {
              ...role,
              keyids: [...(role['keyids'] as readonly Json[]), ...(role['keyids'] as readonly Json[])],
              threshold: 2,
            }
          : role,
      );
      put('targets', { delegations: { ...delegations(), roles } });
    }));
});

test('one key under two ids does not meet a threshold of two', async () => {
  const targets = stage.realm.role('targets');
  const [signer, other] = [stage.realm.signer('payments'), makeSigner()];
  const terms = {
    ...namespaceTerms(targets, PAYMENTS),
    signers: [signer.publicHex, other.publicHex],
    threshold: 2,
  };
  const change = redelegateNamespace(targets, PAYMENTS, terms);
  const next = object(change['delegations'], 'delegations');
  const alias = { ...ed25519KeyJson(signer.publicHex), note: 'the same key' };
  const roles = (next['roles'] as readonly JsonObject[]).map((role) =>
    role['name'] === 'payments'
      ? { ...role, keyids: [...(role['keyids'] as readonly Json[]), 'alias'] }
      : role,
  );
  const keys = { ...object(next['keys'], 'keys'), alias };
  stage.service.put(
    stage.realm.adopt(stage.realm.draft('targets', { ...change, delegations: { ...next, keys, roles } })),
  );
  const { raw } = stage.realm.role('payments');
  const signed = { ...raw, version: 2 };
  putBytes('payments', 2, signMetadata(signed, [signer, { ...signer, keyid: 'alias' }]));
  const state = await stage.updater.refresh();
  expect(state.failures.get('payments')?.code).toBe('signature-threshold');
  expect(state.secrets.has(PAYMENTS)).toBe(false);
  putBytes('payments', 2, signMetadata(signed, [signer, other]));
  expect((await stage.updater.refresh()).failures.size).toBe(0);
});
