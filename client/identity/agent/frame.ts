// What goes over the agent's socket, one frame in each direction: the length of a JSON header (4 bytes, big endian),
// the header, and raw bytes to the end of the stream. Keys and plaintext travel only as raw bytes, never in the JSON,
// so that they are never in a string; buffers that held them are zeroed. Bounded before anything is kept.
import type { Socket } from 'node:net';
import { parseJson } from '../../../manifest/json.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { object } from '../../../manifest/shape.ts';
import { ClientError } from '../../errors.ts';

const HEADER_BYTES = 16 << 10;
/** What is signed is at most a namespace's role. */
const FRAME_BYTES = 4 + HEADER_BYTES + LIMITS.targetsBytes;

export interface Frame {
  readonly header: JsonObject;
  readonly body: Uint8Array;
}

/** The caller zeroes what is returned, when the body is secret. */
export function encodeFrame({ header, body }: Frame): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, body]);
}

/** Sends the one frame of this side and ends it; the bytes are zeroed when they are sent or lost. */
export function sendFrame(socket: Socket, frame: Frame): void {
  const bytes = encodeFrame(frame);
  socket.once('close', () => bytes.fill(0));
  socket.end(bytes);
}

/**
 * Reads the one frame of the other side, to the end of its stream. The caller zeroes the body, when it is secret.
 * @throws ClientError agent-refused: too large, or no frame; agent-unavailable: the connection broke
 */
export async function receiveFrame(socket: Socket): Promise<Frame> {
  const bytes = await readToEnd(socket);
  try {
    const length = bytes.length < 4 ? HEADER_BYTES + 1 : bytes.readUInt32BE();
    if (length > HEADER_BYTES || 4 + length > bytes.length) throw malformed();
    const header = object(parseJson(bytes.subarray(4, 4 + length), HEADER_BYTES), 'header');
    return { header, body: Buffer.from(bytes.subarray(4 + length)) };
  } catch (cause) {
    throw cause instanceof ClientError ? cause : malformed();
  } finally {
    bytes.fill(0);
  }
}

function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  socket.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= FRAME_BYTES) chunks.push(chunk);
    else socket.destroy(new ClientError('agent-refused', `a frame has at most ${FRAME_BYTES} bytes`));
  });
  socket.once('end', () => resolve(Buffer.concat(chunks)));
  socket.once('error', reject);
  socket.once('close', () =>
    reject(new ClientError('agent-unavailable', 'the connection to the agent broke off')),
  );
  return promise.finally(() => {
    for (const chunk of chunks) chunk.fill(0);
  });
}

function malformed(): ClientError {
  return new ClientError('agent-refused', 'this is no frame of the agent');
}
