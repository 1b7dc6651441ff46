// Where the service listens: anywhere with TLS, on its own machine only with plain HTTP.
import { isIP } from 'node:net';
import { ServiceError } from './errors.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** Parses `HOST:PORT`, with brackets around IPv6. @throws ServiceError config-invalid */
export function parseListenAddress(text: string): ListenAddress {
  const [, six, four, port] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four ?? '';
  if (isIP(host) !== (six === undefined ? 4 : 6) || Number(port) > 65_535) {
    throw new ServiceError('config-invalid', `${text} is no address like 127.0.0.1:7700 or [::1]:7700`);
  }
  return { host, port: Number(port) };
}

/** @throws ServiceError config-invalid */
export function checkPlain(address: ListenAddress): void {
  const { host } = address;
  if (host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return;
  throw new ServiceError(
    'config-invalid',
    `${urlOf(address, 'http')} is not a loopback address: plain HTTP is for 127.0.0.1 or ::1 only`,
  );
}

export function urlOf({ host, port }: ListenAddress, scheme: 'http' | 'https'): string {
  return `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
