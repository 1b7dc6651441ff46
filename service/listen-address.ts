// Where the service listens. It speaks plain HTTP for now, so only to its own machine.
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
  if (host !== '::1' && !host.startsWith('127.')) {
    throw new ServiceError(
      'config-invalid',
      `${text} is not a loopback address: the service speaks plain HTTP for now, so it listens on 127.0.0.1 or ::1 only`,
    );
  }
  return { host, port: Number(port) };
}

export function urlOf({ host, port }: ListenAddress): string {
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
