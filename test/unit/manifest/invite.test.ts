// An invitation and the request made with it: whole, with this invitation, in its time, or refused.
import { describe, expect, test } from 'vitest';
import { parseHostName, parsePoolName, parseRealmId } from '../../../manifest/names.ts';
import {
  checkJoin,
  encodeInvite,
  encodeJoin,
  joinRequest,
  parseInvite,
  readJoin,
} from '../../../manifest/realm/invite.ts';
import type { HostKeys } from '../../../manifest/realm/hosts.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { hostRecord, hostVector } from './host-vector.ts';
import { NOW, codeOf, utf8 } from './repository.ts';

const { invite: vector, join } = hostVector;
const invite = parseInvite(utf8(vector.line));
const { name, signing, encryption } = hostRecord();
const keys: HostKeys = { name, signing, encryption, pools: invite.pools };
const request = joinRequest(invite, keys);

describe('vectors', () => {
  test('the invitation', () => {
    const { secret, expires, ...rest } = invite;
    const { secret: text, expires: end, ...wanted } = vector.invitation;
    expect(rest).toEqual(wanted);
    expect(Buffer.from(secret).toString('base64url')).toBe(text);
    expect(formatInstant(expires)).toBe(end);
    expect(encodeInvite(invite).toString()).toBe(vector.line);
  });

  test.for(vector.refused)('$code: $reason', ({ code, value }) => {
    expect(codeOf(() => parseInvite(utf8(value)))).toBe(code);
  });

  test('the request to join', () => {
    expect(encodeJoin(request)).toEqual(join.request);
    expect(readJoin(join.request)).toEqual(request);
    expect(codeOf(() => checkJoin(readJoin(join.request), invite, NOW))).toBeUndefined();
  });

  test.for(join.refused)('$code: $reason', ({ code, request: altered }) => {
    expect(codeOf(() => checkJoin(readJoin(altered), invite, NOW))).toBe(code);
  });
});

test('white space around the line is no part of it', () => {
  expect(parseInvite(utf8(` ${vector.line}\r\n`))).toEqual(invite);
});

test('an invitation without a pin is one for loopback', () => {
  const { pin: _, ...without } = invite;
  expect(parseInvite(encodeInvite(without))).toEqual(without);
});

test('an invitation is good until its end', () => {
  expect(codeOf(() => checkJoin(request, invite, invite.expires - 1))).toBeUndefined();
  expect(codeOf(() => checkJoin(request, invite, invite.expires))).toBe('invite-expired');
});

describe('refused with', () => {
  test.for([
    ['another secret', { secret: new Uint8Array(32) }],
    ['another realm', { realm: parseRealmId('00'.repeat(32)) }],
    ['another id', { id: '00'.repeat(16) }],
    ['other pools', { pools: [parsePoolName('prod')] }],
  ] as const)('%s', ([, change]) => {
    expect(codeOf(() => checkJoin(request, { ...invite, ...change }, NOW))).toBe('join-refused');
  });
});

test('a host that asks for other pools than it was invited to is refused, though it knows the secret', () => {
  for (const pools of [['prod'], ['default'], ['default', 'edge', 'prod']]) {
    const more = joinRequest(invite, { ...keys, pools: pools.map(parsePoolName) });
    expect(codeOf(() => checkJoin(more, invite, NOW))).toBe('join-refused');
  }
});

test('a request that is expired and altered is called altered', () => {
  const altered = { ...request, name: parseHostName('web-2') };
  expect(codeOf(() => checkJoin(altered, invite, invite.expires))).toBe('join-refused');
});
