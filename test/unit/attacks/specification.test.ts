// The nine attacks that the TUF specification names (1.0.34 §1.5.2), each on a client that is up to date: by the network, by a
// service that lies, and by whoever has stolen its online keys.
import { beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { signEcho } from '../../../manifest/realm/echo.ts';
import { namespaceTerms, redelegateNamespace } from '../../../manifest/realm/realm.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { sha256, signMetadata } from '../../../manifest/tuf/metadata.ts';
import { makeSigner, merged } from '../../support/realm.ts';
import { HUGE } from '../client/memory-service.ts';
import { BILLING, DB, PAYMENTS, Stage, altered, readable, versions } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

/** The service's answer to any name. */
const file = (name: string): Uint8Array => stage.service.files.get(name)!;
const serve = (name: string, bytes: Uint8Array): unknown => stage.service.files.set(name, bytes);
/** What an honest service publishes next. */
const publish = async (namespace = 'payments'): Promise<void> => {
  stage.service.put(await stage.realm.put(namespace, 'db'));
};
const newest = (role: string): string => `${stage.service.version}.${role}.json`;

describe('arbitrary install', () => {
  test('a timestamp that a stranger signed', () =>
    stage.refuses('signature-threshold', async () => {
      await publish();
      stage.service.keys = { ...stage.service.keys, timestamp: makeSigner() };
      stage.service.sign();
    }));

  test('a snapshot that a stranger signed', () =>
    stage.refuses('signature-threshold', async () => {
      await publish();
      stage.service.keys = { ...stage.service.keys, snapshot: makeSigner() };
      stage.service.sign();
    }));

  test('targets that a stranger signed, who would give the namespace to himself', () =>
    stage.refuses('signature-threshold', () => {
      const { raw } = stage.realm.role('targets');
      const change = { policies: raw['policies']! };
      stage.service.put(stage.realm.draft('targets', change, { signer: makeSigner() }));
    }));

  test('a namespace that a stranger signed', () =>
    stage.failsAlone('payments', 'signature-threshold', () => {
      stage.service.put(stage.realm.draft('payments', {}, { signer: makeSigner() }));
    }));

  test('a namespace that the signer of another one signed', () =>
    stage.failsAlone('payments', 'signature-threshold', () => {
      stage.service.put(stage.realm.draft('payments', {}, { signer: stage.realm.signer('billing') }));
    }));

  test('a root that a stranger signed', () =>
    stage.refuses('signature-threshold', () => {
      const forged = altered(stage.realm.genesis.root, { version: 2 });
      serve('2.root.json', forged);
    }));
});

describe('endless data', () => {
  /** A transport that heeds no bound. */
  const endless = (name: string) => () => {
    const { metadata } = stage.service;
    stage.service.metadata = (asked, maxBytes) =>
      asked === name ? Promise.resolve(HUGE) : metadata(asked, maxBytes);
  };

  test('a timestamp without an end', () => stage.refuses('json-too-large', endless('timestamp.json')));

  test('a root without an end', () => stage.refuses('json-too-large', endless('2.root.json')));

  test('a snapshot without an end', () =>
    stage.refuses('length-mismatch', async () => {
      await publish();
      endless(newest('snapshot'))();
    }));

  test('a namespace without an end', () =>
    stage.failsAlone('payments', 'length-mismatch', async () => {
      await publish();
      endless('2.payments.json')();
    }));

  test('an echo without an end', () =>
    stage.refuses(
      'json-too-large',
      () => {
        stage.service.echo = () => Promise.resolve(HUGE);
      },
      (updater) => updater.renew(),
    ));

  test('news whose timestamp has no end', () =>
    stage.refuses(
      'json-too-large',
      () => undefined,
      (updater) => updater.offer({ timestamp: HUGE, files: new Map() }),
    ));

  test('files in news without an end are not looked at, and fetched instead', async () => {
    const { timestamp, files } = stage.service.put(await stage.realm.put('payments', 'db'));
    stage.service.asked.length = 0;
    const huge = new Uint8Array(LIMITS.targetsBytes + 1);
    await stage.updater.offer({ timestamp, files: new Map([...files.keys()].map((name) => [name, huge])) });
    expect(stage.service.asked).toEqual([newest('snapshot'), '2.payments.json']);
    expect(stage.updater.state.secrets.get(PAYMENTS)?.get(DB)?.newest?.version).toBe(2);
  });

  test('roots without an end: one update walks so many and no more', async () => {
    const one = ({ publicHex }: { publicHex: string }) => ({ signers: [publicHex], threshold: 1 });
    for (let version = 2; version <= LIMITS.rootRotations + 20; version++)
      serve(`${version}.root.json`, stage.realm.nextRoot({ snapshot: one(stage.service.keys.snapshot) }));
    await stage.updater.refresh();
    expect(stage.updater.state.set.root.role.version).toBe(1 + LIMITS.rootRotations);
    await stage.updater.refresh();
    expect(stage.updater.state.set.root.role.version).toBe(LIMITS.rootRotations + 20);
    await stage.follows('payments');
  });

  test('a realm that never stands still is not followed for ever', async () => {
    const [before, { echo }] = [readable(stage.updater.state), stage.service];
    stage.service.echo = async (nonce) => {
      stage.service.sign();
      const answer = await echo(nonce);
      stage.service.sign();
      return answer;
    };
    await expect(stage.updater.renew()).rejects.toMatchObject({ code: 'realm-moving' });
    expect(stage.service.asked.filter((name) => name === 'echo')).toHaveLength(4);
    expect(readable(stage.updater.state)).toEqual(before);
  });
});

describe('extraneous dependencies', () => {
  test('roles that nobody delegated to, in a snapshot: they are neither fetched nor kept', async () => {
    const before = versions(stage.updater.state.set);
    const [evil] = stage.realm.draft('payments', {}).roles;
    stage.service.put({ roles: [{ name: 'evil', metadata: evil!.metadata }], files: [] });
    stage.service.asked.length = 0;
    const { set } = await stage.updater.refresh();
    expect(stage.service.asked.filter((name) => name.includes('evil'))).toEqual([]);
    const { timestamp, snapshot } = versions(set);
    expect(versions(set)).toEqual({ ...before, timestamp, snapshot });
  });

  test('files in news that nothing names: they are not taken', async () => {
    const before = readable(stage.updater.state);
    const news = stage.service.put(stage.realm.draft('payments', {}));
    const more = new Map([...news.files, ['1.evil.json', file('1.payments.json')], ['9.targets.json', HUGE]]);
    const state = await stage.updater.offer({ ...news, files: more });
    expect([...state.set.targets.keys()]).not.toContain('evil');
    expect(state.set.targets.get('targets')?.role.version).toBe(3);
    expect(readable(state)).toEqual(before);
  });

  test('a namespace that delegates: nobody is asked', async () => {
    const before = readable(stage.updater.state);
    const { raw } = stage.realm.role('targets');
    stage.service.put(stage.realm.draft('payments', { delegations: raw['delegations']! }));
    stage.service.asked.length = 0;
    const state = await stage.updater.refresh();
    expect(stage.service.asked).toEqual([
      '2.root.json',
      'timestamp.json',
      newest('snapshot'),
      '2.payments.json',
    ]);
    expect(readable(state)).toEqual(before);
  });
});

describe('fast-forward', () => {
  test('online keys that sign the highest version there is: a root with others ends it, and no revocation is lost', async () => {
    stage.service.put(stage.realm.revoke('payments', 'db', 1));
    await stage.updater.refresh();
    const [before, { meta }] = [readable(stage.updater.state), stage.service];
    const huge = { ...(meta['targets.json'] as object), version: Number.MAX_SAFE_INTEGER };
    stage.service.version = Number.MAX_SAFE_INTEGER - 1;
    stage.service.meta = { ...meta, 'targets.json': huge };
    stage.service.sign();
    await expect(stage.updater.refresh()).rejects.toMatchObject({ code: 'not-found' });
    expect(readable(stage.updater.state)).toEqual(before);
    stage.service.meta = meta;
    stage.service.version = 1;
    stage.service.rotate();
    const state = await stage.updater.refresh();
    expect(versions(state.set)).toMatchObject({ root: 2, timestamp: 2, snapshot: 2 });
    expect(readable(state)).toEqual(before);
    await stage.follows('payments');
  });

  test('a timestamp of the highest version moves nothing below it, and none after it is believed before a new root', async () => {
    const before = readable(stage.updater.state);
    const honest = stage.service.version;
    stage.service.version = Number.MAX_SAFE_INTEGER - 1;
    stage.service.sign();
    expect(readable(await stage.updater.refresh())).toEqual(before);
    stage.service.version = honest;
    stage.service.sign();
    await expect(stage.updater.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
    stage.service.rotate();
    expect(readable(await stage.updater.refresh())).toEqual(before);
  });

  test('a version that is no number that every reader reads alike', () =>
    stage.refuses('json-not-canonical', () => {
      const text = Buffer.from(file('timestamp.json')).toString();
      serve('timestamp.json', Buffer.from(text.replace(/"version":\d+/, '"version":9007199254740993')));
    }));
});

describe('indefinite freeze', () => {
  test('the last timestamp, shown for ever: it expires', () =>
    stage.refuses('metadata-expired', () => {
      stage.clock.wall += stage.service.lifetime.timestamp;
    }));

  test('the last answer to a nonce, shown again: it renews nothing', () =>
    stage.refuses(
      'echo-mismatch',
      async () => {
        const old = await stage.service.echo('0'.repeat(64));
        stage.service.echo = () => Promise.resolve(old);
      },
      (updater) => updater.renew(),
    ));

  test('a newer timestamp that is held back: the answer to a nonce names it, so nothing is renewed', () =>
    stage.refuses(
      'realm-moving',
      async () => {
        const held = new Map(stage.service.files);
        await publish();
        const { version, keys } = stage.service;
        const newer = { version, sha256: sha256(file('timestamp.json')) };
        stage.service.echo = (nonce) => Promise.resolve(signEcho(newer, nonce, [keys.timestamp]));
        stage.service.files = held;
      },
      (updater) => updater.renew(),
    ));

  test('a namespace that is never renewed: it expires, alone', async () => {
    stage.service.put(stage.realm.draft('payments', { expires: formatInstant(stage.clock.now() + 60_000) }));
    await stage.updater.refresh();
    stage.clock.advance(60_000);
    await stage.failsAlone('payments', 'metadata-expired', () => stage.service.sign());
  });
});

describe('mix-and-match', () => {
  test('the snapshot of another timestamp', () =>
    stage.refuses('length-mismatch', async () => {
      const old = file(newest('snapshot'));
      await publish('billing');
      await publish('billing');
      stage.service.put(stage.realm.delegate('other'));
      await publish('other');
      serve(newest('snapshot'), old);
    }));

  test('targets of another snapshot', () =>
    stage.refuses('length-mismatch', () => {
      const old = file('3.targets.json');
      stage.service.put(stage.realm.delegate('other'));
      serve('4.targets.json', old);
    }));

  test('the namespace of another snapshot', () =>
    stage.failsAlone('payments', 'length-mismatch', async () => {
      const old = file('1.payments.json');
      await publish();
      serve('2.payments.json', old);
    }));

  test('another file of the same version and length, that the namespace’s own key signed', () =>
    stage.failsAlone('payments', 'hash-mismatch', () => {
      const [other] = stage.realm.draft('payments', { note: 'a' }).roles;
      stage.service.put(stage.realm.draft('payments', { note: 'b' }));
      serve('2.payments.json', other!.metadata);
    }));

  test('one namespace in another’s place', () =>
    stage.failsAlone('payments', 'path-outside-role', () => {
      const targets = stage.realm.targets('billing');
      stage.service.put(stage.realm.draft('payments', { targets }));
    }));
});

describe('rollback', () => {
  /** The newest of it, as the next snapshot names it. */
  const named = (role: string): JsonObject => stage.service.meta[`${role}.json`]!;
  const adopt = async (): Promise<void> => {
    await stage.updater.refresh();
    await stage.updater.persist();
  };

  test('the timestamp before', async () => {
    const back = stage.service.checkpoint();
    await publish();
    await adopt();
    await stage.refuses('version-rollback', back);
  });

  test('the timestamp before a revocation, to whoever heard of it', async () => {
    const back = stage.service.checkpoint();
    stage.service.put(stage.realm.takeBack('billing', 'db', 1));
    await adopt();
    await stage.refuses('version-rollback', back);
    expect(stage.updater.state.secrets.get(BILLING)?.get(DB)?.newest).toBeUndefined();
  });

  test('the snapshot before, under a new timestamp', async () => {
    await publish();
    await adopt();
    await stage.refuses('version-rollback', () => {
      const { keys, version } = stage.service;
      const { signed } = JSON.parse(Buffer.from(file('timestamp.json')).toString()) as { signed: JsonObject };
      const meta = { 'snapshot.json': { version: version - 1 } };
      serve('timestamp.json', signMetadata({ ...signed, version: version + 1, meta }, [keys.timestamp]));
    });
  });

  test.for(['payments', 'billing-revoker', 'targets', 'fleet', 'fleet-hosts'])(
    '%s before, in a new snapshot',
    async (role) => {
      stage.service.put(stage.realm.takeBack('billing', 'db', 1));
      stage.service.put(await stage.realm.epoch());
      await adopt();
      const old = { ...named(role) };
      stage.service.put(stage.realm.adopt(stage.realm.draft(role, {})));
      await adopt();
      await stage.refuses('version-rollback', () => {
        stage.service.meta = { ...stage.service.meta, [`${role}.json`]: old };
        stage.service.sign();
      });
    },
  );

  test.for(['payments', 'billing-revoker', 'fleet'])('%s gone from a new snapshot', async (role) => {
    stage.service.put(stage.realm.takeBack('billing', 'db', 1));
    await adopt();
    await stage.refuses('role-vanished', () => {
      const { [`${role}.json`]: _gone, ...meta } = stage.service.meta;
      stage.service.meta = meta;
      stage.service.sign();
    });
  });

  test('a root again, or one of another version than the next', () =>
    stage.refuses('version-mismatch', () => serve('2.root.json', stage.realm.genesis.root)));

  test('a secret’s version before, that its own namespace signs again', async () => {
    const targets = stage.realm.targets('payments');
    await publish();
    await adopt();
    await stage.failsAlone('payments', 'version-rollback', () => {
      stage.service.put(stage.realm.draft('payments', { targets }));
    });
  });

  test('all that was withdrawn, after a root that makes hosts forget the online keys', async () => {
    const before = stage.service.checkpoint();
    stage.service.put(stage.realm.revoke('payments', 'db', 1));
    stage.service.put(stage.realm.takeBack('billing', 'db', 1));
    await adopt();
    before();
    stage.service.rotate();
    for (const updater of [stage.updater, await stage.open()]) {
      const { secrets, failures } = await updater.refresh();
      expect(failures.get('payments')?.code).toBe('floor-sank');
      expect(secrets.get(BILLING)?.get(DB)).toMatchObject({ revokedThrough: 1, superseded: [] });
      expect(readable(updater.state).filter((path) => path.includes('/db@1'))).toEqual([]);
    }
  });
});

describe('key compromise', () => {
  test('the online keys: they change no secret, and bring nothing back', () =>
    stage.failsAlone('payments', 'signature-threshold', () => {
      const { keys } = stage.service;
      stage.service.put(stage.realm.draft('payments', {}, { signer: keys.snapshot }));
    }));

  test('the online keys for the snapshot cannot sign a timestamp, nor the other way round', () =>
    stage.refuses('signature-threshold', () => {
      const { snapshot, timestamp } = stage.service.keys;
      stage.service.keys = { snapshot: timestamp, timestamp: snapshot };
      stage.service.sign();
    }));

  test('one key of a namespace that needs two', async () => {
    const [one, two] = [makeSigner(), makeSigner()];
    const terms = namespaceTerms(stage.realm.role('targets'), PAYMENTS);
    const people = { ...terms, signers: [one.publicHex, two.publicHex], threshold: 2 };
    const change = redelegateNamespace(stage.realm.role('targets'), PAYMENTS, people);
    const { raw } = stage.realm.role('payments');
    const signed = { ...raw, version: 2 };
    const both = { roles: [{ name: 'payments', metadata: signMetadata(signed, [one, two]) }], files: [] };
    const targets = stage.realm.adopt(stage.realm.draft('targets', change));
    stage.service.put(merged(targets, stage.realm.adopt(both)));
    await stage.updater.refresh();
    await stage.updater.persist();
    expect(stage.updater.state.failures.size).toBe(0);
    stage.service.put(stage.realm.draft('payments', { note: 'alone' }, { signer: one }));
    const state = await stage.updater.refresh();
    expect(state.failures.get('payments')?.code).toBe('signature-threshold');
    expect(state.secrets.has(PAYMENTS)).toBe(false);
  });

  test('a namespace’s key reaches into no other namespace', () =>
    stage.failsAlone('payments', 'path-outside-role', () => {
      const targets = { ...stage.realm.targets('payments'), ...stage.realm.targets('billing') };
      stage.service.put(stage.realm.draft('payments', { targets }));
    }));

  test('a namespace’s key brings nothing back that was revoked', async () => {
    const targets = stage.realm.targets('payments');
    stage.service.put(stage.realm.revoke('payments', 'db', 1));
    await stage.updater.refresh();
    await stage.failsAlone('payments', 'floor-sank', () => {
      stage.service.put(stage.realm.draft('payments', { targets }));
    });
  });

  test('the keys of a person who left sign nothing any more, however old the file', async () => {
    const leaver = stage.realm.signer('payments');
    const targets = stage.realm.role('targets');
    const stays = makeSigner();
    const terms = { ...namespaceTerms(targets, PAYMENTS), signers: [stays.publicHex] };
    const change = redelegateNamespace(targets, PAYMENTS, terms);
    stage.service.put(stage.realm.adopt(stage.realm.draft('targets', change)));
    const state = await stage.updater.refresh();
    expect(state.failures.get('payments')?.code).toBe('signature-threshold');
    stage.service.put(stage.realm.draft('payments', {}, { signer: leaver }));
    expect((await stage.updater.refresh()).failures.get('payments')?.code).toBe('signature-threshold');
    stage.service.put(stage.realm.draft('payments', {}, { signer: stays }));
    expect((await stage.updater.refresh()).failures.size).toBe(0);
  });
});
