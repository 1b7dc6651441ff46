// One machine for many tests, but for those that fail: what such a test leaves behind may be anything, so its second try and the
// tests after it begin on another machine.
import { afterAll, afterEach, beforeAll } from 'vitest';

/** A start and an end, on a machine that does little else. */
const PATIENCE = 120_000;

/** For the tests of the file or `describe` that calls it. `begin` also does what every test expects to be done. */
export function onOneMachine(begin: () => Promise<AsyncDisposable>): void {
  let machine: AsyncDisposable | undefined;
  const start = async (): Promise<void> => {
    machine = await begin();
  };
  const end = async (): Promise<void> => {
    const last = machine;
    machine = undefined;
    await last?.[Symbol.asyncDispose]();
  };
  beforeAll(start, PATIENCE);
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await end().finally(start);
  }, PATIENCE);
  afterAll(end, PATIENCE);
}
