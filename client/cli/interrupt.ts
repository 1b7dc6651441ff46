// Ctrl-C while a command waits for something that goes on without it: the waiting ends, the command says what is known. In
// the shell it comes by the context's signal; else it is a signal to this process. Whoever must tidy up is told of a second.
import type { Clock } from '../clock.ts';

export function onInterrupt(shell: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const own = new AbortController();
  const stop = (): void => own.abort();
  process.on('SIGINT', stop);
  return {
    signal: AbortSignal.any([shell, own.signal]),
    [Symbol.dispose]: () => void process.off('SIGINT', stop),
  };
}

/** Ctrl-C asks for an orderly end; once more, for an end at once. */
export function onInterruptTwice(
  shell: AbortSignal,
): Disposable & Readonly<Record<'end' | 'now', AbortSignal>> {
  const first = new AbortController();
  const second = new AbortController();
  const stop = (): void => (first.signal.aborted ? second : first).abort();
  process.on('SIGINT', stop);
  return {
    end: AbortSignal.any([shell, first.signal]),
    now: second.signal,
    [Symbol.dispose]: () => void process.off('SIGINT', stop),
  };
}

/** Requests and waits end when the signal aborts. What was sent may have been done all the same. */
export function interruptible(clock: Clock, signal: AbortSignal): Clock {
  return {
    ...clock,
    deadline: (ms) => AbortSignal.any([clock.deadline(ms), signal]),
    sleep: (ms, other) => clock.sleep(ms, other ? AbortSignal.any([other, signal]) : signal),
  };
}
