// The service that somebody names for a new realm directory. Over https its pin is what everything after it relies on: it
// is given, or shown to a person who compares it.
import { ClientError } from '../errors.ts';
import { serviceAddress } from '../http.ts';
import type { ServiceAddress } from '../http.ts';
import { shownPin } from '../tls.ts';
import { confirm } from './confirm.ts';

export interface ServiceOptions {
  readonly service: string;
  readonly pin?: string;
}

/** @throws ClientError usage, pin-needed: none was given, and nobody can be asked; not-confirmed */
export async function chooseService({ service, pin }: ServiceOptions): Promise<ServiceAddress> {
  const url = URL.parse(service);
  if (url?.protocol !== 'https:' || pin !== undefined) return serviceAddress({ url: service, pin });
  const shown = await shownPin(url.hostname.replace(/^\[|\]$/g, ''), Number(url.port || 443));
  const seen = `${url.origin} shows the pin ${shown}.`;
  if (!process.stdin.isTTY) {
    const advice = 'Compare it with what lapse-service printed, and give it with --pin';
    throw new ClientError('pin-needed', `${seen} ${advice}`);
  }
  await confirm(`${seen} Is it the one that lapse-service printed?`, false);
  return serviceAddress({ url: service, pin: shown });
}
