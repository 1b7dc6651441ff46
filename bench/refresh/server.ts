// A plain HTTP server for one repository, on loopback: the same bytes for every client, out of memory, so that the figures
// tell of clients and not of a store. It counts what it sends, and publishes the next rotation when it is told.
//   GET /v1/metadata/NAME     a file under its consistent name
//   GET /bytes                bytes of files sent since this was asked last
//   POST /rotate              rotates, and answers with the news as the service would push it
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeNews } from '../../manifest/realm/exchange.ts';
import type { Repository } from './repository.ts';

const METADATA = '/v1/metadata/';
const KEPT_MS = 600_000;

export interface FileServer extends AsyncDisposable {
  readonly url: string;
}

export async function serve(repository: Repository): Promise<FileServer> {
  let bytes = 0;
  const answer = async ({ url = '' }: IncomingMessage): Promise<Uint8Array | undefined> => {
    if (url === '/rotate') return Buffer.from(JSON.stringify(encodeNews(await repository.rotate())));
    if (url === '/bytes') {
      const counted = Buffer.from(String(bytes));
      bytes = 0;
      return counted;
    }
    const file = repository.files.get(url.slice(METADATA.length));
    bytes += file?.length ?? 0;
    return file;
  };
  const server = createServer((request, response) => {
    void answer(request).then((body) => {
      response.writeHead(body ? 200 : 404, { 'content-length': body?.length ?? 0 });
      response.end(body);
    });
  });
  // A client that computes for long keeps its connection.
  server.keepAliveTimeout = KEPT_MS;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
