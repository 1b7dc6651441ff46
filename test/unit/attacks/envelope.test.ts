// Bytes that a host would decrypt: whoever moves, swaps or alters an envelope or a wrapped key, or lists more of them than
// anybody needs, gets nothing opened. Here the loader, the keyring and the vault are the real ones.
import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { CompactEncrypt } from 'jose';
import type { CompactJWEHeaderParameters } from 'jose';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { Keyring } from '../../../daemon/host/keyring.ts';
import { Loader } from '../../../daemon/loader.ts';
import { ManifestError } from '../../../manifest/errors.ts';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseRealmId, parseSecretName } from '../../../manifest/names.ts';
import { sealEnvelope } from '../../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';
import { unwrapKey, wrapKey } from '../../../manifest/realm/key-wrap.ts';
import { importRecipient } from '../../../manifest/realm/recipient.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import { object } from '../../../manifest/shape.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import type { TestHost } from '../../support/realm.ts';
import { EPHEMERAL, base64url, jwe } from '../../vectors/jose.ts';
import { VaultParts } from '../daemon/vault-parts.ts';
import { BILLING, DB, PAYMENTS, Stage } from './stage.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey;

let stage: Stage;
let host: TestHost;
let parts: VaultParts;

beforeEach(async () => {
  stage = await Stage.set();
  const joined = await stage.realm.join('web-1');
  host = joined.host;
  stage.service.put(joined.publish);
  await stage.updater.refresh();
  await stage.updater.persist();
  parts = new VaultParts({ slots: 16 });
});

/** Loads every version of a state like the daemon would: which came into the vault, and why the others did not. */
async function load(state: RealmState): Promise<{ loaded: string[]; failed: Record<string, string> }> {
  const transport = stage.service;
  const keyring = new Keyring({
    realm: stage.realm.id,
    encryptionKey: host.encryptionKey,
    transport,
    onChange: () => undefined,
  });
  keyring.follow(state, state.hosts.get(host.name), new Map());
  const loaded: string[] = [];
  const idle = Promise.withResolvers<undefined>();
  const loader = new Loader(transport, keyring, parts.vault, {
    wanted: () => true,
    loaded: (path) => void loaded.push(path),
    idle: () => idle.resolve(undefined),
  });
  const orders = [...state.secrets].flatMap(([namespace, secrets]) =>
    [...secrets.values()].flatMap((secret) =>
      liveVersions(secret).map((live) => ({
        live,
        context: { realm: stage.realm.id, namespace, name: secret.name, version: live.version },
        pools: host.pools,
      })),
    ),
  );
  loader.request(orders, new Map());
  await idle.promise;
  const failed = [...loader.failures].map(([path, { code }]) => [path, code]);
  return { loaded: loaded.sort(), failed: Object.fromEntries(failed) as Record<string, string> };
}

const ALL = ['billing/admin@1', 'billing/db@1', 'payments/db@1'];
const draft = (role: string, change: JsonObject): unknown =>
  stage.service.put(stage.realm.draft(role, change));

/** What one version is made of, as its author would make it, but for what a test changes. */
interface Forgery {
  readonly envelope?: Uint8Array;
  readonly keys?: readonly JsonObject[];
}

const [DATA_KEY, NONCE] = [randomBytes(32), randomBytes(24)];
const contextOf = (version: number, change: Partial<VersionContext> = {}): VersionContext => ({
  realm: stage.realm.id,
  namespace: PAYMENTS,
  name: DB,
  version,
  ...change,
});
const seal = (context: VersionContext): Uint8Array =>
  sealEnvelope(Buffer.from('forged'), DATA_KEY, NONCE, context);
const wrapped = async (context: VersionContext): Promise<JsonObject> => ({
  ...(await wrapKey(DATA_KEY, await importRecipient(stage.realm.pool()), context)),
});

/** `payments`' own signer lists this as the only version of a new secret `payments/forged`. */
async function publish({ envelope, keys }: Forgery = {}): Promise<{ loaded: string[]; failed: JsonObject }> {
  const context = contextOf(1, { name: FORGED });
  const bytes = envelope ?? seal(context);
  const custom = {
    version: 1,
    grants: [],
    timing: { overlap: { seconds: 0 } },
    revokedThrough: 0,
    revoked: [],
    keys: keys ?? [await wrapped(context)],
  };
  const entry = { length: bytes.length, hashes: { sha256: sha256(bytes) }, custom };
  draft('payments', { targets: { ...stage.realm.targets('payments'), 'payments/forged@1': entry } });
  stage.service.files.set(`payments/${sha256(bytes)}.forged@1`, bytes);
  return load(await stage.updater.refresh());
}

const FORGED = parseSecretName('forged');
/** All else is opened, and this is not. */
const refused = (code: string) => ({ loaded: ALL, failed: { 'payments/forged@1': code } });
const OPENED = { loaded: [...ALL, 'payments/forged@1'].sort(), failed: {} };

test('nobody attacks: the host opens all that it is for', async () => {
  expect(await load(stage.updater.state)).toEqual({ loaded: ALL, failed: {} });
});

test('nor does what a namespace’s signer makes by hand, if it is as it must be', async () => {
  expect(await publish()).toEqual(OPENED);
});

describe('wrong target', () => {
  /** Answers a request for an envelope with this instead. */
  const answer = (change: (honest: Uint8Array) => Uint8Array): void => {
    const { target } = stage.service;
    stage.service.target = async (file, maxBytes) => {
      const bytes = await target(file, maxBytes);
      return /^payments\/.*db@1$/.test(file) ? change(bytes) : bytes;
    };
  };
  const rest = { loaded: ALL.filter((path) => path !== 'payments/db@1') };

  test.for<[string, string, (honest: Uint8Array) => Uint8Array]>([
    ['another secret’s envelope', 'hash-mismatch', (honest) => seal(contextOf(1)).subarray(0, honest.length)],
    ['an older version’s', 'hash-mismatch', (honest) => honest.with(30, honest[30]! ^ 1)],
    ['one cut short', 'length-mismatch', (honest) => honest.subarray(1)],
    ['one with something behind it', 'length-mismatch', (honest) => Buffer.concat([honest, Buffer.alloc(1)])],
    ['nothing', 'length-mismatch', () => new Uint8Array()],
  ])('%s', async ([, code, change]) => {
    answer(change);
    expect(await load(stage.updater.state)).toEqual({ ...rest, failed: { 'payments/db@1': code } });
  });

  test('another host’s keyring: nothing opens', async () => {
    const { host: other, publish: joined } = await stage.realm.join('web-2');
    stage.service.put(joined);
    const state = await stage.updater.refresh();
    const [mine, theirs] = [host.name, other.name].map((name) => state.hosts.get(name)!.keyring.sha256);
    const bytes = stage.service.files.get(`fleet-hosts/${theirs!}.web-2`)!;
    stage.service.files.set(`fleet-hosts/${mine!}.web-1`, bytes);
    const { loaded, failed } = await load(state);
    expect([loaded, new Set(Object.values(failed))]).toEqual([[], new Set(['no-recipient'])]);
  });
});

describe('an envelope moved to another secret', () => {
  test('with its wrapped keys', async () => {
    const other = contextOf(1, { name: parseSecretName('other') });
    const moved = { envelope: seal(other), keys: [await wrapped(other)] };
    expect(await publish(moved)).toEqual(refused('key-wrap-mismatch'));
  });

  test('by a namespace that lists what is another’s', async () => {
    const entry = object(stage.realm.targets('billing')['billing/db@1'], 'entry');
    const { keys } = object(entry['custom'], 'custom');
    const [name] = [...stage.service.files.keys()].filter((file) => /^billing\/.*\.db@1$/.test(file));
    const envelope = stage.service.files.get(name!)!;
    expect(await publish({ envelope, keys: keys as readonly JsonObject[] })).toEqual(
      refused('key-wrap-mismatch'),
    );
  });

  describe.for<[string, Partial<VersionContext>]>([
    ['name', { name: parseSecretName('other') }],
    ['namespace', { namespace: BILLING }],
    ['version', { version: 2 }],
    ['realm', { realm: parseRealmId('0'.repeat(64)) }],
  ])('another %s', ([, change]) => {
    test('its key wrapped anew by somebody who knows it', async () => {
      const envelope = seal(contextOf(1, { name: FORGED, ...change }));
      expect(await publish({ envelope })).toEqual(refused('envelope-refused'));
    });

    test('a wrapped key alone', async () => {
      const keys = [await wrapped(contextOf(1, { name: FORGED, ...change }))];
      expect(await publish({ keys })).toEqual(refused('key-wrap-mismatch'));
    });
  });
});

describe('JWE header tampering and algorithm confusion', () => {
  type Header = Record<string, Json>;

  /** The one header there may be. */
  const honest = (): Header => ({
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: stage.realm.pool().kid,
    purpose: 'lapse-data-key',
    realm: stage.realm.id,
    namespace: 'payments',
    name: 'forged',
    version: 1,
    epoch: 1,
    epk: { x: EPHEMERAL.jwk.x, crv: 'X25519', kty: 'OKP' },
  });
  const byHand = (header: string, plaintext: Uint8Array = DATA_KEY): string =>
    jwe(header, plaintext, createPublicKey(stage.realm.pool().privateKey));
  const keyOf = (text: string): JsonObject => ({ kid: stage.realm.pool().kid, epoch: 1, jwe: text });

  /** Nothing is opened, and the private key is not even used. */
  async function refuses(text: string): Promise<void> {
    const decrypt = vi.fn(() => Promise.resolve(new Uint8Array(DATA_KEY)));
    const key = { kid: stage.realm.pool().kid, epoch: 1, jwe: text };
    const unwrapping = unwrapKey(key, decrypt, contextOf(1, { name: FORGED }));
    await expect(unwrapping).rejects.toBeInstanceOf(ManifestError);
    expect(decrypt).not.toHaveBeenCalled();
    expect(await publish({ keys: [keyOf(text)] })).toEqual(refused('key-wrap-mismatch'));
  }

  test('the honest one, made by hand, opens', async () => {
    expect(await publish({ keys: [keyOf(byHand(JSON.stringify(honest())))] })).toEqual(OPENED);
  });

  test.for<[string, Header]>([
    ['crit', { crit: ['exp'], exp: 1 }],
    ['crit of nothing', { crit: [] }],
    ['apu', { apu: 'QQ' }],
    ['apv', { apv: 'QQ' }],
    ['typ', { typ: 'JWE' }],
    ['cty', { cty: 'JWT' }],
    ['jwk', { jwk: { kty: 'oct', k: 'AA' } }],
    ['jku', { jku: 'https://example.com/keys' }],
    ['b64', { b64: false }],
    ['a member that nobody knows', { more: 1 }],
    ['another enc', { enc: 'A128GCM' }],
    ['another alg', { alg: 'ECDH-ES+A256KW' }],
  ])('an extra or another member that a library would follow: %s', ([, change]) =>
    refuses(byHand(JSON.stringify({ ...honest(), ...change }))),
  );

  test('zip: what is encrypted would be inflated', () => {
    const header = JSON.stringify({ ...honest(), zip: 'DEF' });
    return refuses(byHand(header, deflateRawSync(Buffer.alloc(1 << 20))));
  });

  test.for(['P-256', 'P-384', 'X448', 'Ed25519'])('an epk that claims to be on %s', (crv) => {
    const epk = { ...(honest()['epk'] as JsonObject), crv };
    return refuses(byHand(JSON.stringify({ ...honest(), epk })));
  });

  test('an epk with a private half, or a second coordinate', async () => {
    for (const more of [{ d: EPHEMERAL.jwk.x }, { y: EPHEMERAL.jwk.x }]) {
      const epk = { ...(honest()['epk'] as JsonObject), ...more };
      await refuses(byHand(JSON.stringify({ ...honest(), epk })));
    }
  });

  test.for<[string, CompactJWEHeaderParameters, () => KeyObject]>([
    ['RSA-OAEP', { alg: 'RSA-OAEP', enc: 'A256GCM' }, () => rsa],
    ['RSA-OAEP-256', { alg: 'RSA-OAEP-256', enc: 'A256GCM' }, () => rsa],
    ['ECDH-ES on P-256', { alg: 'ECDH-ES', enc: 'A256GCM' }, () => p256],
    ['dir', { alg: 'dir', enc: 'A256GCM' }, () => createSecretKey(DATA_KEY)],
    ['A256KW', { alg: 'A256KW', enc: 'A256GCM' }, () => createSecretKey(DATA_KEY)],
    ['A256GCMKW', { alg: 'A256GCMKW', enc: 'A256GCM' }, () => createSecretKey(DATA_KEY)],
    ['PBES2', { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM' }, () => createSecretKey(DATA_KEY)],
    ['CBC', { alg: 'ECDH-ES', enc: 'A256CBC-HS512' }, () => createPublicKey(stage.realm.pool().privateKey)],
  ])('another algorithm, done right: %s', async ([, algorithms, key]) => {
    const { alg: _alg, enc: _enc, epk: _epk, ...binding } = honest();
    const header = { ...algorithms, ...binding };
    await refuses(await new CompactEncrypt(DATA_KEY).setProtectedHeader(header).encrypt(key()));
  });

  test.for(['none', 'None', ''])('alg "%s": the key in clear', (alg) => {
    const { epk: _epk, ...rest } = honest();
    return refuses([JSON.stringify({ ...rest, alg }), '', '', DATA_KEY, ''].map(base64url).join('.'));
  });

  test('the same header twice as JSON says it, but not as its bytes do', async () => {
    const text = JSON.stringify(honest());
    const epk = JSON.stringify({ epk: honest()['epk'] }).slice(1, -1);
    await refuses(byHand(text.replace('"ECDH-ES"', '"\\u0045CDH-ES"')));
    await refuses(byHand(`${text.slice(0, -1)},${epk}}`));
    await refuses(byHand(`${text} `));
  });
});

describe('recipient floods', () => {
  const many = (count: number): JsonObject[] =>
    Array.from({ length: count }, (_, i) => ({
      kid: `stranger-${i}`,
      epoch: 1,
      jwe: 'x'.repeat(LIMITS.jweBytes),
    }));

  test('a version with more keys than anybody needs: its namespace fails', () =>
    stage.failsAlone('payments', 'metadata-malformed', () =>
      publish({ keys: many(LIMITS.recipientsPerVersion + 1) }),
    ));

  test('as many strangers as there may be: none of them is tried', async () => {
    expect(await publish({ keys: many(LIMITS.recipientsPerVersion) })).toEqual(refused('no-recipient'));
  });

  test('and this host’s behind them is found', async () => {
    const keys = [...many(LIMITS.recipientsPerVersion - 1), await wrapped(contextOf(1, { name: FORGED }))];
    expect(await publish({ keys })).toEqual(OPENED);
  });

  test('a key that is longer than any: it alone is refused', async () => {
    const [key] = [await wrapped(contextOf(1, { name: FORGED }))];
    const long = { ...key, jwe: `${key['jwe'] as string}${'A'.repeat(LIMITS.jweBytes)}` };
    expect(await publish({ keys: [long] })).toEqual(refused('key-wrap-mismatch'));
  });

  test('a policy with more of them than a version may have', () =>
    stage.refuses('policy-malformed', () => {
      const policies = object(stage.realm.role('targets').raw['policies'], 'policies');
      const pools = Array.from({ length: LIMITS.recipientsPerVersion }, (_, i) => `p${i}`);
      const payments = { ...object(policies['payments'], 'payments'), pools };
      draft('targets', { policies: { ...policies, payments } });
    }));
});
