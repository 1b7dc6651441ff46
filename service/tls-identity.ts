// What the service is known by on the network: an EC P-256 key, made on the first start, and a certificate that it signs
// for itself, because TLS wants one. Clients look at the key alone: they hold its sha256, the pin. So the certificate has
// no name and no end (RFC 5280 §4.1.2.5), and can be made again from the key at any time.
import { X509Certificate, createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from './errors.ts';
import { openKeyFile, readPrivateFile, writePrivateFile } from './private-file.ts';

export interface TlsIdentity {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  /** `sha256:` and the base64url of the sha256 of the public key's SubjectPublicKeyInfo. */
  readonly pin: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const FROM = new Date('2020-01-01T00:00:00Z');
const UNTIL = new Date('9999-12-31T23:59:59Z');

/** @throws ServiceError config-invalid */
export async function openTlsIdentity(directory: string): Promise<TlsIdentity> {
  const key = openTlsKey(directory, true);
  const path = join(directory, 'tls.certificate');
  const known = existsSync(path) ? readCertificate(path) : undefined;
  if (known?.checkPrivateKey(key)) return { key, certificate: known, pin: pinOf(key) };
  const der = await certify(key);
  writePrivateFile(path, der);
  return { key, certificate: new X509Certificate(der), pin: pinOf(key) };
}

/** The pin of a service that was started before. @throws ServiceError config-invalid */
export function readPin(directory: string): string {
  return pinOf(openTlsKey(directory, false));
}

function openTlsKey(directory: string, mayMake: boolean): KeyObject {
  const path = join(directory, 'tls.p256');
  if (!mayMake && !existsSync(path)) {
    throw new ServiceError(
      'config-invalid',
      `${directory} has no TLS key; the service makes it when it starts`,
    );
  }
  return openKeyFile(path, 'ec', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

function pinOf(key: KeyObject): string {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return `sha256:${createHash('sha256').update(spki).digest('base64url')}`;
}

function readCertificate(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readPrivateFile(path));
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    return undefined;
  }
}

/** Needed once in the life of a service, and slow to load: so it is loaded here. */
async function certify(key: KeyObject): Promise<Uint8Array> {
  await import('reflect-metadata');
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const keys = {
    privateKey: key.toCryptoKey(ALGORITHM, false, ['sign']),
    publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=lapse-service',
    notBefore: FROM,
    notAfter: UNTIL,
    signingAlgorithm: ALGORITHM,
    keys,
  });
  return new Uint8Array(certificate.rawData);
}
