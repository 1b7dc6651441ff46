// `lapsed` on strings: node lapsed-puppet.ts STRINGS --config FILE PHASE. Its wall clock is moved by the file `wall` in STRINGS;
// on SIGWINCH its main thread stands still for as long as the file `block` says, in milliseconds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setEnvironmentData } from 'node:worker_threads';
import { readConfig } from '../../daemon/config.ts';
import { runDaemon } from '../../daemon/lapsed.ts';
import { stderrLog } from '../../daemon/log.ts';
import { moveWallClock } from './lapsed-puppet-clock.ts';

const [, , strings = '', , file = '', phase] = process.argv;
moveWallClock(strings);
setEnvironmentData('strings', strings);
process.on('SIGWINCH', () => {
  const ms = Number(readFileSync(join(strings, 'block'), 'latin1'));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
});
const worker = new URL('./lapsed-puppet-worker.ts', import.meta.url);
await runDaemon(await readConfig(file), stderrLog(), phase, { worker });
