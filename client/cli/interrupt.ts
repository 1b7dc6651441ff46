// Ctrl-C while a command waits for something that goes on without it: the waiting ends, the command says what is known. In
// the shell it comes by the context's signal; else it is a signal to this process.

export function onInterrupt(shell: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const own = new AbortController();
  const stop = (): void => own.abort();
  process.on('SIGINT', stop);
  return {
    signal: AbortSignal.any([shell, own.signal]),
    [Symbol.dispose]: () => void process.off('SIGINT', stop),
  };
}
