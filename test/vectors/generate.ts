// Writes every vector file beside it: `node test/vectors/generate.ts`. All inputs are fixed, so it always writes the
// same bytes. Tests check the files and never write them. What JOSE makes elsewhere is built by hand here (`jose.ts`).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { Json, JsonObject } from '../../manifest/json.ts';
import {
  parseFileName,
  parseHostName,
  parseNamespace,
  parsePoolName,
  parseRealmId,
  parseSecretName,
  parseWorkload,
} from '../../manifest/names.ts';
import type { Workload } from '../../manifest/names.ts';
import { addVersion } from '../../manifest/realm/change.ts';
import type { NewVersion } from '../../manifest/realm/change.ts';
import { associatedData, sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import type { WrappedKey } from '../../manifest/realm/jwe.ts';
import { paddedLength } from '../../manifest/realm/padding.ts';
import { genesisFleet, withEpoch } from '../../manifest/realm/fleet.ts';
import { encodeKeyring, withHost } from '../../manifest/realm/hosts.ts';
import {
  delegateNamespace,
  delegatorOf,
  firstTargets,
  genesisTargets,
  nextVersion,
  realmId,
} from '../../manifest/realm/realm.ts';
import { recipientOf, thumbprint } from '../../manifest/realm/recipient.ts';
import { withdrawGrant } from '../../manifest/realm/revoker.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import { trustRoot, updateSnapshot, updateTargets, updateTimestamp } from '../../manifest/tuf/trusted-set.ts';
import { hostVectors } from './host.ts';
import { EPHEMERAL, ed25519, jwe as seal, x25519 } from './jose.ts';
import {
  KEYS,
  LATER,
  NOW,
  fileMeta,
  one,
  rootJson,
  snapshotJson,
  timestampJson,
} from '../unit/manifest/repository.ts';

function write(name: string, about: string, content: JsonObject): void {
  writeFileSync(
    join(import.meta.dirname, `${name}.json`),
    `${JSON.stringify({ about, ...content }, null, 2)}\n`,
  );
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function canonicalJsonVectors(): void {
  const accepted: Record<string, string> = {
    'white space goes, keys are sorted': ' { "b" : 2 , "a" : [ 1 , true , false , null ] } ',
    'keys inside keys': '{"z":{"y":1,"x":2},"a":{}}',
    'keys sort by code point: digits, upper case, underscore, lower case':
      '{"a":1,"B":2,"_":3,"1":4,"10":5,"9":6,"":7}',
    'keys sort by code point above U+FFFF, not by UTF-16 unit':
      '{"\\ud83d\\ude00":1,"\\uffff":2,"\\ue000":3,"z":4}',
    'only the quote and the backslash are escaped': '"\\"\\\\\\/"',
    'control characters stand as they are': '"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f\\u007f\\u2028"',
    'no escape for what is beyond ASCII': '"\\u00e9\\u20ac\\ud83d\\ude00"',
    'no normalisation': '"e\\u0301"',
    'escapes in keys': '{"\\n":1,"\\"":2,"\\\\":3}',
    'the largest and the smallest integer': '[9007199254740991,-9007199254740991,0]',
  };
  const refused: Record<string, string> = {
    'json-invalid': '{"a":1}}',
    'json-duplicate-key': '{"a":1,"\\u0061":2}',
    'json-forbidden-key': '{"a":[{"__proto__":1}]}',
    'json-too-deep': '['.repeat(33) + ']'.repeat(33),
  };
  const notCanonical = ['1.0', '1.5', '1e3', '1E3', '-0', '9007199254740992', '"\\ud800"', '{"\\udc00":1}'];
  write(
    'canonical-json',
    'JSON texts and their canonical form as a string (its UTF-8 bytes are what is signed), or the code of the refusal.',
    {
      accepted: Object.entries(accepted).map(([name, json]) => ({
        name,
        json,
        canonical: text(canonicalJson(JSON.parse(json) as Json)),
      })),
      refused: [
        ...Object.entries(refused).map(([code, json]) => ({ code, json })),
        ...notCanonical.map((json) => ({ code: 'json-not-canonical', json })),
      ],
    },
  );
}

function nameVectors(): void {
  const long = (length: number): string => 'a'.repeat(length);
  const never = ['', ' ', 'a b', 'a/b', 'a\n', '\na', 'a\0', '..', 'é', 'a@1', '-a', 'a*'];
  write(
    'names',
    'Texts that are, and are not, each kind of name. Whatever is not is refused with name-invalid.',
    {
      namespace: {
        valid: ['a', 'payments', 'team-7', 'a--b', 'a-', 'rooted', 'constructor', long(63)],
        invalid: [
          ...never,
          'A',
          '7a',
          '_a',
          'a.b',
          'root',
          'targets',
          'snapshot',
          'timestamp',
          'fleet',
          'fleet-hosts',
          'a-revoker',
          long(64),
        ],
      },
      secret: {
        valid: ['a', 'A', '7', '_', 'a.b', 'a..b', 'db-password', 'x_', 'a.', long(128)],
        invalid: [...never, '.a', '__proto__', long(129)],
      },
      workload: {
        valid: ['web', 'Web.1', '7', 'a_b', long(128)],
        invalid: [...never, '_a', '.a', long(129)],
      },
      file: {
        valid: ['a', '.env', '_', 'tls.key', `.${long(127)}`],
        invalid: [...never, '.', '.-a', '..a', long(129), `.${long(128)}`],
      },
      pool: {
        valid: ['a', 'default', 'eu-west-1', 'a-', 'constructor', long(63)],
        invalid: [...never, 'A', '7a', '_a', 'a.b', long(64)],
      },
      host: {
        valid: ['a', '7', 'web-1.example', 'a-', 'a.', long(63)],
        invalid: [...never, 'A', '_a', '.a', long(64)],
      },
      realm: {
        valid: ['0'.repeat(64), 'af09'.repeat(16)],
        invalid: ['', '0'.repeat(63), '0'.repeat(65), 'AF09'.repeat(16), `${'0'.repeat(64)}\n`],
      },
      reference: {
        valid: [
          { text: 'payments/db', namespace: 'payments', name: 'db' },
          { text: 'payments/db@1', namespace: 'payments', name: 'db', version: 1 },
          { text: 'a/B.c@999999999999999', namespace: 'a', name: 'B.c', version: 999_999_999_999_999 },
        ],
        invalid: [
          '',
          '/',
          'a',
          'a/',
          '/b',
          'a/b@',
          'a/b@0',
          'a/b@01',
          'a/b@-1',
          'a/b@1.0',
          'a/b@1e3',
          'a/b@1@2',
          'a/b/c',
          'a//b',
          'a/../b',
          'a/b@1\n',
          'a/b@٣',
          'a/b@1000000000000000',
          'root/a',
          'A/b',
        ],
      },
    },
  );
}

function paddingVectors(): void {
  const lengths = [
    0, 1, 4, 255, 256, 257, 264, 265, 511, 512, 513, 528, 529, 1000, 1024, 1025, 4096, 4097, 10_000, 65_535,
    65_536, 65_537, 1_048_575, 1_048_576, 1_048_577, 1_048_580,
  ];
  write('padding', 'Lengths before and after padding: the larger of 256 and Padmé.', {
    lengths: lengths.map((length) => ({ length, padded: paddedLength(length) })),
  });
}

const context: VersionContext = {
  realm: parseRealmId('7e'.repeat(32)),
  namespace: parseNamespace('payments'),
  name: parseSecretName('db-password'),
  version: 3,
};
const bytesFrom = (first: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 255);

function envelopeVectors(): void {
  const values = {
    'an empty value': new Uint8Array(0),
    'a password': Buffer.from('correct horse battery staple'),
    'the longest that fits 256 bytes': bytesFrom(1, 252),
    'one byte more': bytesFrom(1, 253),
    'zeros, which are not padding': new Uint8Array(300),
  };
  const prefix = (length: number): Buffer => Buffer.from(length.toString(16).padStart(8, '0'), 'hex');
  const padded = (length: number, total: number, fill = 0): string =>
    hex(Buffer.concat([prefix(length), Buffer.alloc(total - 4, fill)]));
  write(
    'envelope',
    'nonce | XChaCha20-Poly1305(length | value | zeros) under the key, the nonce and the associated data. All bytes in hexadecimal.',
    {
      envelopes: Object.entries(values).map(([name, value], i) => {
        const [key, nonce] = [bytesFrom(i, 32), bytesFrom(64 + i, 24)];
        const bound = { ...context, version: i + 1 };
        return {
          name,
          context: bound,
          associatedData: text(associatedData(bound)),
          key: hex(key),
          nonce: hex(nonce),
          value: hex(value),
          envelope: hex(sealEnvelope(value, key, nonce, bound)),
        };
      }),
      refusedPlaintexts: [
        { name: 'nothing', padded: '' },
        { name: 'shorter than any', padded: padded(0, 255) },
        { name: 'a length beyond the end', padded: padded(253, 256) },
        { name: 'a length of 2^32 - 1', padded: `ffffffff${'00'.repeat(252)}` },
        { name: 'more padding than the length asks for', padded: padded(252, 264) },
        { name: 'a size that is no padded size', padded: padded(253, 257) },
        { name: 'padding that is not zero', padded: padded(10, 256, 1) },
        { name: 'a last byte that is not zero', padded: padded(10, 256).slice(0, -2) + '01' },
      ],
    },
  );
}

const recipient = x25519(0x77);
const ephemeral = EPHEMERAL;

/** The protected header in its one member order, with `change` in place or appended. */
function headerOf(kid: string, epoch: number, bound: VersionContext, change: JsonObject = {}): JsonObject {
  const { realm, namespace, name, version } = bound;
  const epk = { x: ephemeral.jwk.x, crv: 'X25519', kty: 'OKP' };
  const members = {
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid,
    purpose: 'lapse-data-key',
    realm,
    namespace,
    name,
    version,
    epoch,
  };
  return { ...members, epk, ...change };
}

function keyWrapVectors(): void {
  const kid = thumbprint(recipient.jwk);
  const other = thumbprint(ephemeral.jwk);
  const jwe = (header: string, plaintext: Uint8Array): string => seal(header, plaintext, recipient.publicKey);
  const dataKey = bytesFrom(1, 32);
  const epoch = 2;
  const good = headerOf(kid, epoch, context);
  const { alg, enc, ...rest } = good;
  const { epk, ...withoutEpk } = good;
  const changed = (change: JsonObject): string => jwe(JSON.stringify({ ...good, ...change }), dataKey);
  const text = jwe(JSON.stringify(good), dataKey);
  const parts = text.split('.');
  const altered = (part: number): string =>
    parts
      .map((value, i) => (i === part ? `${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}` : value))
      .join('.');
  const refused: Record<string, string> = {
    'zip: the plaintext is deflated': jwe(JSON.stringify({ ...good, zip: 'DEF' }), deflateRawSync(dataKey)),
    'zip in front': jwe(JSON.stringify({ zip: 'DEF', ...good }), deflateRawSync(dataKey)),
    'another alg: ECDH-ES+A256KW': changed({ alg: 'ECDH-ES+A256KW' }),
    'another enc: A128GCM': changed({ enc: 'A128GCM' }),
    'the kid of another key': changed({ kid: other }),
    'another purpose': changed({ purpose: 'lapse-pool-key' }),
    'another realm': changed({ realm: '00'.repeat(32) }),
    'another namespace': changed({ namespace: 'billing' }),
    'another name': changed({ name: 'db-password2' }),
    'another version': changed({ version: 4 }),
    'the version as a string': changed({ version: '3' }),
    'another epoch': changed({ epoch: 1 }),
    'an extra member': changed({ typ: 'JWE' }),
    'an extra member in epk': changed({ epk: { ...(epk as JsonObject), kid } }),
    apu: changed({ apu: '' }),
    crit: changed({ crit: [] }),
    'another member order': jwe(JSON.stringify({ enc, alg, ...rest }), dataKey),
    'epk in another member order': changed({ epk: { kty: 'OKP', crv: 'X25519', x: ephemeral.jwk.x } }),
    'epk before the others': jwe(JSON.stringify({ epk, ...withoutEpk }), dataKey),
    'white space in the header': jwe(JSON.stringify(good, null, 1), dataKey),
    'a member twice': jwe(`{"alg":"ECDH-ES",${JSON.stringify(good).slice(1)}`, dataKey),
    'a data key of 31 bytes': jwe(JSON.stringify(good), dataKey.subarray(1)),
    'a data key of 33 bytes': jwe(JSON.stringify(good), Buffer.concat([dataKey, Buffer.alloc(1)])),
    'no data key': jwe(JSON.stringify(good), new Uint8Array(0)),
    'an altered nonce': altered(2),
    'an altered ciphertext': altered(3),
    'an altered tag': altered(4),
    'an encrypted key where none belongs': parts.with(1, 'AAAA').join('.'),
    'a part missing': parts.slice(0, 4).join('.'),
    'a part more': `${text}.AAAA`,
    'only a header': `${parts[0] ?? ''}.`,
    'no dot': parts[0] ?? '',
    nothing: '',
    'longer than 2048 characters': `${text}${'A'.repeat(2048)}`,
  };
  write(
    'key-wrap',
    'A data key wrapped as a compact JWE, and JWEs that must be refused with key-wrap-mismatch. All but the altered ones decrypt with the private key, so that only the header rule stops them.',
    {
      recipient: { pkcs8: recipient.pkcs8, jwk: recipient.jwk, kid, epoch },
      context: { ...context },
      dataKey: hex(dataKey),
      header: JSON.stringify(good),
      jwe: text,
      refused: Object.entries(refused).map(([reason, value]) => ({ reason, jwe: value })),
    },
  );
}

/** A pool's private key as a member or a custodian gets it. */
function wrappedPoolKey(
  raw: Uint8Array,
  to: ReturnType<typeof x25519>,
  bound: { realm: string; pool: string; epoch: number },
): WrappedKey {
  const kid = thumbprint(to.jwk);
  const epk = { x: EPHEMERAL.jwk.x, crv: 'X25519', kty: 'OKP' };
  const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid, purpose: 'lapse-pool-key', ...bound, epk };
  return { kid, epoch: bound.epoch, jwe: seal(JSON.stringify(header), raw, to.publicKey) };
}

function realmVectors(): void {
  const namespace = parseNamespace('payments');
  const name = parseSecretName('db-password');
  const pool = parsePoolName('default');
  const custodian = x25519(0x66);
  const root = signMetadata(rootJson(), [KEYS.root]);
  let set = trustRoot(root);
  const realm = realmId(set.root);

  const files: Record<string, Uint8Array> = { '1.root.json': root };
  const publish = (
    version: number,
    roles: Record<string, Uint8Array>,
    versions: Record<string, number>,
  ): void => {
    for (const [role, file] of Object.entries(roles)) files[`${versions[role] ?? 1}.${role}.json`] = file;
    const meta = Object.fromEntries(
      Object.entries(roles).map(([role, file]) => [`${role}.json`, fileMeta(file, versions[role] ?? 1)]),
    );
    const snapshot = signMetadata(snapshotJson(meta, { version }), [KEYS.snapshot]);
    const timestamp = signMetadata(timestampJson(fileMeta(snapshot, version), { version }), [KEYS.timestamp]);
    set = updateSnapshot(updateTimestamp(set, timestamp, NOW), snapshot, NOW);
    for (const [role, file] of Object.entries(roles)) {
      set = updateTargets(set, role, file, NOW, role === 'targets' ? 'root' : delegatorOf(role));
    }
    files[`${version}.snapshot.json`] = snapshot;
    files['timestamp.json'] = timestamp;
  };

  // The realm's birth: one pool, no host, no namespace.
  const poolKey = Buffer.alloc(32, 0x77);
  const bound = { realm, pool, epoch: 1 };
  const bare = genesisFleet({ ...one(KEYS.fleet), custodians: [custodian.jwk] }, LATER);
  const epoch = {
    ...recipientOf(recipient.jwk, 1),
    custodians: [wrappedPoolKey(poolKey, custodian, bound)],
  };
  const birth = {
    targets: signMetadata(genesisTargets(one(KEYS.fleet), LATER), [KEYS.targets]),
    fleet: signMetadata({ ...bare, ...withEpoch(bare, pool, epoch) }, [KEYS.fleet]),
    'fleet-hosts': signMetadata(firstTargets(LATER), [KEYS.fleet]),
  };
  publish(1, birth, {});

  // A host joins, a namespace with a revoker is delegated, a secret is put for two workloads, one of them is withdrawn.
  const encryption = x25519(0x44);
  const keyring = encodeKeyring([{ ...wrappedPoolKey(poolKey, encryption, bound), pool }]);
  const host = {
    name: parseHostName('web-1'),
    signing: ed25519(0x21).jwk,
    encryption: encryption.jwk,
    pools: [pool],
    joined: NOW,
  };
  const hosts = { targets: withHost({}, host, keyring) };
  const held = (role: string) => {
    const found = set.targets.get(role);
    if (!found) throw new Error(`${role} was just published`);
    return found;
  };
  const delegations = delegateNamespace(held('targets'), namespace, {
    ...one(KEYS.payments),
    revokers: [KEYS.revoker.hex],
    policy: { pools: [pool], custodians: [recipientOf(custodian.jwk)], leaseSeconds: 30, whenStale: 'serve' },
  });
  const [dataKey, value] = [bytesFrom(100, 32), Buffer.from('correct horse battery staple')];
  const context = { realm, namespace, name, version: 1 };
  const envelope = sealEnvelope(value, dataKey, bytesFrom(7, 24), context);
  const keyFor = (to: ReturnType<typeof x25519>, number: number): WrappedKey => {
    const kid = thumbprint(to.jwk);
    const header = JSON.stringify(headerOf(kid, number, context));
    return { kid, epoch: number, jwe: seal(header, dataKey, to.publicKey) };
  };
  const [web, batch] = ['web', 'batch'].map(parseWorkload) as [Workload, Workload];
  const version: NewVersion = {
    version: 1,
    length: envelope.length,
    sha256: sha256(envelope),
    keys: [keyFor(recipient, 1), keyFor(custodian, 0)],
    grants: [web, batch].map((workload) => ({
      workload,
      file: parseFileName('db'),
      uid: 1000,
      gid: 1000,
      mode: 0o400,
    })),
    overlapSeconds: 300,
    whenStale: 'serve',
  };
  const added = addVersion({}, { namespace, name, secret: undefined }, version, NOW);
  const withdrawals = withdrawGrant({}, name, batch, 1);
  const second = {
    targets: signMetadata(nextVersion(held('targets'), LATER, delegations), [KEYS.targets]),
    fleet: birth.fleet,
    'fleet-hosts': signMetadata(nextVersion(held('fleet-hosts'), LATER, hosts), [KEYS.fleet]),
    payments: signMetadata({ ...firstTargets(LATER), targets: added }, [KEYS.payments]),
    'payments-revoker': signMetadata({ ...firstTargets(LATER), withdrawals }, [KEYS.revoker]),
  };
  publish(2, second, { targets: 2, 'fleet-hosts': 2 });

  write(
    'realm',
    'A whole realm after a host joined, one put and one withdrawal: every file a client may fetch, under its consistent name, as exact text. Keys are ed25519, each seed 32 times one byte; fleet-hosts has the keys of fleet. The private key in key-wrap.json is that of the pool, epoch 1; the host, whose encryption key is 32 times 0x44, finds it in its keyring; the custodian has 32 times 0x66.',
    {
      now: NOW,
      seeds: { root: 1, timestamp: 2, snapshot: 3, targets: 4, payments: 5, fleet: 6, revoker: 7 },
      keyids: Object.fromEntries(
        Object.entries(KEYS)
          .filter(([role]) => !['stranger', 'fleetHosts'].includes(role))
          .map(([role, key]) => [role, key.keyid]),
      ),
      realm,
      files: Object.fromEntries(Object.entries(files).map(([file, bytes]) => [file, text(bytes)])),
      keyring: { file: `fleet-hosts/${sha256(keyring)}.web-1`, content: text(keyring) },
      target: {
        file: `payments/${sha256(envelope)}.db-password@1`,
        envelope: hex(envelope),
        value: text(value),
      },
      readers: { '1': [web] },
    },
  );
}

function secretVectors(): void {
  const sha = (digit: string): string => digit.repeat(64);
  const keys = [{ kid: 'k', epoch: 1, jwe: 'j' }];
  const grant = { selector: { workload: 'web' }, file: 'db', uid: 0, gid: 0, mode: '0440' };
  const newest = (version: number, change: JsonObject = {}, custom: JsonObject = {}): JsonObject => ({
    length: 296,
    hashes: { sha256: sha('a') },
    custom: {
      version,
      grants: [grant],
      timing: { overlap: { seconds: 300 } },
      revokedThrough: 0,
      revoked: [],
      keys,
      ...custom,
    },
    ...change,
  });
  const superseded = (version: number, custom: JsonObject = {}): JsonObject => ({
    length: 296,
    hashes: { sha256: sha('b') },
    custom: { version, timing: { overlap: { seconds: 60, end: '2026-01-31T12:01:00Z' } }, keys, ...custom },
  });
  const without = (member: string): JsonObject => {
    const target = newest(1);
    const entries = Object.entries(target['custom'] as JsonObject).filter(([key]) => key !== member);
    return { ...target, custom: Object.fromEntries(entries) };
  };
  const live = (version: number, digit: string): JsonObject => ({
    version,
    length: 296,
    sha256: sha(digit),
    keys,
  });
  const grants = [{ workload: 'web', file: 'db', uid: 0, gid: 0, mode: 0o440 }];
  const model = (change: JsonObject): JsonObject => ({
    name: 'a',
    grants,
    overlapSeconds: 300,
    revokedThrough: 0,
    revoked: [],
    superseded: [],
    whenStale: 'deny',
    ...change,
  });
  const first = model({ newestVersion: 1, newest: live(1, 'a') });
  const tombstone = (version: number, floor: JsonObject): JsonObject => {
    const target = newest(version, {}, floor);
    const { keys: _, ...custom } = target['custom'] as JsonObject;
    return { ...target, custom };
  };

  const accepted: readonly [string, JsonObject, readonly JsonObject[]][] = [
    ['an empty namespace', {}, []],
    ['one live version', { 'payments/a@1': newest(1) }, [first]],
    [
      'unknown members are ignored',
      {
        'payments/a@1': newest(
          1,
          { more: 1 },
          { more: 1, timing: { overlap: { seconds: 300, more: 1 }, more: 1 } },
        ),
      },
      [first],
    ],
    [
      'a superseded version while its overlap runs',
      { 'payments/a@7': newest(7), 'payments/a@5': superseded(5) },
      [
        model({
          newestVersion: 7,
          newest: live(7, 'a'),
          superseded: [{ ...live(5, 'b'), overlapSeconds: 60, overlapEnd: Date.UTC(2026, 0, 31, 12, 1) }],
        }),
      ],
    ],
    [
      'a tombstone by the floor',
      { 'payments/a@2': tombstone(2, { revokedThrough: 2 }) },
      [model({ newestVersion: 2, revokedThrough: 2 })],
    ],
    [
      'a tombstone by its own number',
      { 'payments/a@2': tombstone(2, { revoked: [2] }) },
      [model({ newestVersion: 2, revoked: [2] })],
    ],
    [
      'single numbers above the floor',
      { 'payments/a@9': newest(9, {}, { revokedThrough: 3, revoked: [5, 8] }) },
      [model({ newestVersion: 9, newest: live(9, 'a'), revokedThrough: 3, revoked: [5, 8] })],
    ],
    ['no grants', { 'payments/a@1': newest(1, {}, { grants: [] }) }, [{ ...first, grants: [] }]],
    [
      'a selector that is not known matches nobody',
      {
        'payments/a@1': newest(
          1,
          {},
          {
            grants: [
              { selector: { pod: 'x' } },
              { selector: {} },
              { ...grant, selector: { workload: 'web', host: 'h' } },
              grant,
            ],
          },
        ),
      },
      [first],
    ],
    [
      'what it asks for when the lease is over',
      { 'payments/a@1': newest(1, {}, { timing: { overlap: { seconds: 300 }, whenStale: 'serve' } }) },
      [{ ...first, whenStale: 'serve' }],
    ],
    ['two secrets', { 'payments/a@1': newest(1), 'payments/b@1': newest(1) }, [first, { ...first, name: 'b' }]],
  ];
  const badGrant = (change: JsonObject): JsonObject => ({
    'payments/a@1': newest(1, {}, { grants: [{ ...grant, ...change }] }),
  });
  const refused: readonly [code: string, name: string, targets: JsonObject][] = [
    ['path-outside-role', 'a secret of another namespace', { 'billing/a@1': newest(1) }],
    ['path-outside-role', 'a path without a version', { 'payments/a': newest(1) }],
    ['name-invalid', 'a path that climbs', { 'payments/../a@1': newest(1) }],
    ['name-invalid', 'a path without a namespace', { 'a@1': newest(1) }],
    ['name-invalid', 'a version with a leading zero', { 'payments/a@01': newest(1) }],
    ['secret-malformed', 'another version in custom than in the path', { 'payments/a@2': newest(1) }],
    ['secret-malformed', 'keys under the floor', { 'payments/a@1': newest(1, {}, { revokedThrough: 1 }) }],
    ['secret-malformed', 'keys of a revoked number', { 'payments/a@1': newest(1, {}, { revoked: [1] }) }],
    ['secret-malformed', 'no keys and no revocation', { 'payments/a@1': without('keys') }],
    ['secret-malformed', 'keys for nobody', { 'payments/a@1': newest(1, {}, { keys: [] }) }],
    [
      'secret-malformed',
      'a superseded version without an end',
      { 'payments/a@2': newest(2), 'payments/a@1': newest(1) },
    ],
    [
      'secret-malformed',
      'a revoked version still listed',
      { 'payments/a@3': newest(3, {}, { revokedThrough: 2 }), 'payments/a@2': superseded(2) },
    ],
    [
      'secret-malformed',
      'a singly revoked version still listed',
      { 'payments/a@3': newest(3, {}, { revoked: [2] }), 'payments/a@2': superseded(2) },
    ],
    [
      'secret-malformed',
      'revoked numbers not ascending',
      { 'payments/a@9': newest(9, {}, { revoked: [5, 4] }) },
    ],
    ['secret-malformed', 'a revoked number twice', { 'payments/a@9': newest(9, {}, { revoked: [5, 5] }) }],
    [
      'metadata-malformed',
      'a revoked number under the floor',
      { 'payments/a@9': newest(9, {}, { revokedThrough: 5, revoked: [5] }) },
    ],
    [
      'metadata-malformed',
      'a revoked number of the future',
      { 'payments/a@9': newest(9, {}, { revoked: [10] }) },
    ],
    ['metadata-malformed', 'a floor of the future', { 'payments/a@9': tombstone(9, { revokedThrough: 10 }) }],
    ['metadata-malformed', 'a floor below zero', { 'payments/a@9': newest(9, {}, { revokedThrough: -1 }) }],
    ['metadata-malformed', 'no floor', { 'payments/a@1': without('revokedThrough') }],
    ['metadata-malformed', 'no list of revoked numbers', { 'payments/a@1': without('revoked') }],
    ['metadata-malformed', 'no grants', { 'payments/a@1': without('grants') }],
    ['metadata-malformed', 'no timing', { 'payments/a@1': without('timing') }],
    ['metadata-malformed', 'no version', { 'payments/a@1': without('version') }],
    ['metadata-malformed', 'no custom', { 'payments/a@1': { length: 1, hashes: { sha256: sha('a') } } }],
    ['metadata-malformed', 'no sha256', { 'payments/a@1': newest(1, { hashes: { sha512: sha('a') } }) }],
    ['metadata-malformed', 'keys that are null', { 'payments/a@1': newest(1, {}, { keys: null }) }],
    [
      'metadata-malformed',
      'a superseded version without keys',
      { 'payments/a@2': newest(2), 'payments/a@1': superseded(1, { keys: null }) },
    ],
    [
      'metadata-malformed',
      'an epoch below zero',
      { 'payments/a@1': newest(1, {}, { keys: [{ kid: 'k', epoch: -1, jwe: 'j' }] }) },
    ],
    [
      'metadata-malformed',
      'an overlap below zero',
      { 'payments/a@1': newest(1, {}, { timing: { overlap: { seconds: -1 } } }) },
    ],
    [
      'metadata-malformed',
      'an overlap of more than 30 days',
      { 'payments/a@1': newest(1, {}, { timing: { overlap: { seconds: 2_592_001 } } }) },
    ],
    [
      'metadata-malformed',
      'an end that is no time',
      {
        'payments/a@2': newest(2),
        'payments/a@1': superseded(1, { timing: { overlap: { seconds: 1, end: 0 } } }),
      },
    ],
    [
      'metadata-malformed',
      'another answer to a lease that is over',
      { 'payments/a@1': newest(1, {}, { timing: { overlap: { seconds: 300 }, whenStale: 'ask' } }) },
    ],
    ['grant-malformed', 'a mode that lets write', badGrant({ mode: '0640' })],
    ['grant-malformed', 'a mode that lets execute', badGrant({ mode: '0500' })],
    ['grant-malformed', 'a mode of four more digits', badGrant({ mode: '00440' })],
    ['grant-malformed', 'a setuid mode', badGrant({ mode: '4440' })],
    ['metadata-malformed', 'a mode that is a number', badGrant({ mode: 440 })],
    ['metadata-malformed', 'a uid of 2^32 - 1, which means none', badGrant({ uid: 4_294_967_295 })],
    ['metadata-malformed', 'a gid below zero', badGrant({ gid: -1 })],
    ['metadata-malformed', 'no selector', badGrant({ selector: null })],
    ['name-invalid', 'a file in a directory', badGrant({ file: 'a/b' })],
    ['name-invalid', 'a workload that is no name', badGrant({ selector: { workload: '../w' } })],
  ];
  write(
    'secrets',
    'The targets member of the namespace role `payments`, and the secrets that it means (paths left out; times in milliseconds since the epoch), or the code of the refusal.',
    {
      accepted: accepted.map(([name, targets, secrets]) => ({ name, targets, secrets })),
      refused: refused.map(([code, name, targets]) => ({ name, code, targets })),
    },
  );
}

canonicalJsonVectors();
nameVectors();
paddingVectors();
envelopeVectors();
keyWrapVectors();
realmVectors();
secretVectors();
hostVectors(write);
