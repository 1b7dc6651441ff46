// What the HTTPS server is given: TLS 1.3 and nothing older, the service's key and certificate. Node takes a key as PEM
// only; it is spelled here into a buffer, since a string could not be zeroed.
import type { KeyObject } from 'node:crypto';
import type { ServerOptions } from 'node:https';
import type { TlsIdentity } from './tls-identity.ts';

/** Milliseconds for a handshake. */
const HANDSHAKE_MS = 10_000;
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');

/** `key` in the result is to be zeroed once the server is made. */
export function tlsOptions({ key, certificate }: TlsIdentity): ServerOptions & { readonly key: Buffer } {
  return {
    key: keyPem(key),
    cert: certificate.toString(),
    minVersion: 'TLSv1.3',
    handshakeTimeout: HANDSHAKE_MS,
  };
}

function keyPem(key: KeyObject): Buffer {
  const der = key.export({ format: 'der', type: 'pkcs8' });
  const body = base64(der);
  const pem = Buffer.concat([
    Buffer.from('-----BEGIN PRIVATE KEY-----\n'),
    ...Array.from({ length: Math.ceil(body.length / 64) }, (_, i) => [
      body.subarray(i * 64, (i + 1) * 64),
      Buffer.from('\n'),
    ]).flat(),
    Buffer.from('-----END PRIVATE KEY-----\n'),
  ]);
  der.fill(0);
  body.fill(0);
  return pem;
}

function base64(bytes: Buffer): Buffer {
  const text = Buffer.alloc(Math.ceil(bytes.length / 3) * 4, '=');
  for (let i = 0, at = 0; i < bytes.length; i += 3, at += 4) {
    const left = bytes.length - i;
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let digit = 0; digit <= Math.min(left, 3); digit++) {
      text[at + digit] = BASE64[(group >> (18 - 6 * digit)) & 63] ?? 0;
    }
  }
  return text;
}
