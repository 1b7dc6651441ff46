// What `tuf-client` runs: arguments in, exit code out.
import { systemClock } from '../../client/clock.ts';
import { run } from './client.ts';

process.exitCode = await run(process.argv.slice(2), systemClock(), (line) =>
  process.stderr.write(`${line}\n`),
);
