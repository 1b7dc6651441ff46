// `lapsed` with a wall clock that can be moved: node lapsed.ts WALL --config FILE, where WALL is the file that says by how much
// (wall-clock.ts). Only drills start it; the holder adds a phase.
import { fileURLToPath } from 'node:url';
import { readConfig } from '../daemon/config.ts';
import { hold } from '../daemon/hold.ts';
import { runDaemon } from '../daemon/lapsed.ts';
import { stderrLog } from '../daemon/log.ts';
import { SERVING_THREAD, moveWallClocks } from './wall-clock.ts';

const [, , wall = '', option = '', file = '', phase] = process.argv;
const config = await readConfig(file);
if (phase === undefined) hold(config, [fileURLToPath(import.meta.url), wall, option, file]);
moveWallClocks(wall);
await runDaemon(config, stderrLog(), phase, { worker: SERVING_THREAD });
