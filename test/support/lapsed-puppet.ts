// `lapsed` on strings: node lapsed-puppet.ts STRINGS --config FILE PHASE. Its wall clock is moved by the file `wall` in STRINGS;
// on SIGWINCH its main thread stands still for as long as the file `block` says, in milliseconds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '../../daemon/config.ts';
import { runDaemon } from '../../daemon/lapsed.ts';
import { stderrLog } from '../../daemon/log.ts';
import { SERVING_THREAD, moveWallClocks } from '../../drill/wall-clock.ts';

const [, , strings = '', , file = '', phase] = process.argv;
moveWallClocks(join(strings, 'wall'));
process.on('SIGWINCH', () => {
  const ms = Number(readFileSync(join(strings, 'block'), 'latin1'));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
});
await runDaemon(await readConfig(file), stderrLog(), phase, { worker: SERVING_THREAD });
