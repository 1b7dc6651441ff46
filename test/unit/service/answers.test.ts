// Errors become answers in one place; what is not ours to explain says nothing.
import { expect, test } from 'vitest';
import { ManifestError } from '../../../manifest/errors.ts';
import { ServiceError, answerTo } from '../../../service/errors.ts';
import { checkPlain, parseListenAddress, urlOf } from '../../../service/listen-address.ts';
import { formatEvent } from '../../../service/log.ts';

test.each([
  [new ServiceError('conflict', 'no'), 409, 'conflict'],
  [new ManifestError('signature-threshold', 'no'), 403, 'signature-threshold'],
  [new ManifestError('floor-sank', 'no'), 422, 'floor-sank'],
  [new ManifestError('host-removed', 'no'), 401, 'host-removed'],
  [new ServiceError('token-replayed', 'no'), 401, 'token-replayed'],
  [Object.assign(new Error('quotes the body'), { statusCode: 413 }), 413, 'body-too-large'],
  [Object.assign(new Error('quotes the url'), { statusCode: 400 }), 400, 'request-malformed'],
])('%s is answered with %i %s', (error, status, code) => {
  expect(answerTo(error)).toMatchObject({ status, body: { code } });
});

test.each([new Error('a secret'), 'a secret', undefined, { statusCode: 500 }])(
  'an unknown error %# says nothing',
  (error) => {
    const { status, body } = answerTo(error);
    expect(status).toBe(500);
    expect(body).toEqual({ code: 'internal', message: 'the service failed; its log says why' });
  },
);

test.each(['127.0.0.1:0', '127.1.2.3:65535', '[::1]:7700', '0.0.0.0:7700', '[::]:7700', '192.168.0.1:1'])(
  '%s is listened on',
  (text) => {
    expect(urlOf(parseListenAddress(text), 'https')).toBe(`https://${text}`);
  },
);

test.each(['0.0.0.0:7700', '[::]:7700', '192.168.0.1:1', '[::ffff:127.0.0.1]:1'])(
  '%s is not for plain HTTP',
  (text) => {
    expect(() => checkPlain(parseListenAddress(text))).toThrow(
      expect.objectContaining({ code: 'config-invalid' }),
    );
  },
);

test.each(['localhost:1', '127.0.0.1', '127.0.0.1:65536', '::1:5', ''])('%s is not', (text) => {
  expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
});

test('a log line quotes whatever could be mistaken for another field', () => {
  expect(formatEvent('published', { role: 'payments', version: 3, odd: 'a b=c\n' })).toBe(
    'lapse-service: published role=payments version=3 odd="a b=c\\n"',
  );
});
