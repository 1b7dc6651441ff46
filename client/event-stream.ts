// Server-sent events of the service, as they come, until the stream or the signal ends. A stream that was silent for too
// long is dead: the service sends a comment every 15 s. One event has a largest size; what it holds is for the caller.
import { createParser } from 'eventsource-parser';
import type { IncomingMessage } from 'node:http';
import { isLapseError } from '../manifest/errors.ts';
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';

/** Milliseconds. */
const SILENCE_MS = 40_000;

export interface ServerEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** `open` asks for the stream and resolves with an answer that says yes; its signal ends the stream. */
export async function* eventStream(
  open: (signal: AbortSignal) => Promise<IncomingMessage>,
  { clock, signal, maxBytes }: { clock: Clock; signal: AbortSignal; maxBytes: number },
): AsyncGenerator<ServerEvent> {
  const silence = new AbortController();
  let heard = clock.boot();
  using _watch = clock.every(SILENCE_MS / 4, () => {
    if (clock.boot() - heard > SILENCE_MS) silence.abort();
  });
  const answer = await open(AbortSignal.any([signal, silence.signal]));
  const events: ServerEvent[] = [];
  let pending = 0;
  const parser = createParser({
    onEvent: ({ event = '', id = '', data }) => {
      pending = 0;
      events.push({ event, id, data });
    },
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      heard = clock.boot();
      pending += chunk.length;
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (pending > 2 * maxBytes)
        throw new ClientError('answer-too-large', 'an event of the service is too large');
      yield* events.splice(0);
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw isLapseError(cause)
      ? cause
      : new ClientError('stream-ended', 'the event stream broke off', { cause });
  }
}
