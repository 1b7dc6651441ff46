// `lapsed`, sabotaged: node lapsed.ts BREAK --config FILE. Only the demo starts it; the holder adds a phase.
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../daemon/config.ts';
import { hold } from '../../daemon/hold.ts';
import { runDaemon } from '../../daemon/lapsed.ts';
import type { DaemonParts } from '../../daemon/lapsed.ts';
import { stderrLog } from '../../daemon/log.ts';
import { isBreak } from './breaks.ts';
import type { Break } from './breaks.ts';

const [, , broken = '', option = '', file = '', phase] = process.argv;
if (!isBreak(broken)) throw new Error(`no such sabotage: ${broken}`);
const config = await readConfig(file);
if (phase === undefined) hold(config, [fileURLToPath(import.meta.url), broken, option, file]);
await runDaemon(config, stderrLog(), phase, partsOf(broken));

function partsOf(broken: Break): DaemonParts {
  const nothing = (): Promise<void> => Promise.resolve();
  switch (broken) {
    case 'no-invalidate':
      return { wrapInvalidator: (real) => ({ ...real, pages: nothing }) };
    case 'log-plaintext':
    case 'no-identity':
      return { worker: new URL(`./${broken}.ts`, import.meta.url) };
  }
}
