// Files below a base URL, over plain HTTP on loopback (client/http.ts allows no other), bounded in size and time.
import type { Clock } from '../../client/clock.ts';
import { ClientError } from '../../client/errors.ts';
import { readBody, send } from '../../client/http.ts';
import type { Fetch } from '../../client/update-cycle.ts';
import { encodeName } from './names.ts';

/** One file, in milliseconds, to its last byte. */
const REQUEST_MS = 10_000;

/** Slashes of a target's path stay; those of a role's name come encoded. @throws ClientError usage */
export function httpFetch(base: string, clock: Clock, encode = encodeName): Fetch {
  const url = URL.parse(base);
  if (!url) throw new ClientError('usage', `not a URL: ${base}`);
  const below = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
  return async (file, maxBytes) => {
    const answer = await send({
      to: url.origin,
      method: 'GET',
      path: `${below}${encode(file)}`,
      signal: clock.deadline(REQUEST_MS),
    });
    const status = answer.statusCode ?? 0;
    if (status === 200) return readBody(answer, url.origin, maxBytes);
    answer.resume();
    const isAbsent = status === 403 || status === 404;
    throw new ClientError(isAbsent ? 'not-found' : 'service-failed', `${file}: HTTP status ${status}`);
  };
}
