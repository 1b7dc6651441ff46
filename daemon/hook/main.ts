// `lapse-oci-hook`: tells lapsed which control group a new container is, before its process starts (createRuntime),
// and that it is gone (poststop). The runtime gives the container's state on stdin (OCI runtime specification,
// "State"). A container without the annotation is none of ours. Fails closed: no answer, no start.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isLapseError } from '../../manifest/errors.ts';
import { callControl } from '../control/client.ts';
import type { ControlAnswer } from '../control/client.ts';
import { systemClock } from '../../client/clock.ts';
import type { Clock } from '../../client/clock.ts';
import type { HttpRequest } from '../../client/http.ts';
import { DaemonError } from '../errors.ts';
import { parseState } from './state.ts';

/**
 * Longer than the holder lets a server take to yield: the next one has to begin, too. With the deadline of the last call, 5 s, less
 * than the ten seconds that a runtime gives a hook, so that the reason is still said.
 */
const RETRY_MS = { within: 4000, pause: 50 } as const;
/** HTTP's 503: the server is about to close. */
const CLOSING = 503;

const USAGE = `usage: lapse-oci-hook create|delete [--socket PATH]

Reads the container's OCI state on stdin. Give it to the runtime as hooks:
  createRuntime  lapse-oci-hook create
  poststop       lapse-oci-hook delete
and name the workload with the annotation dev.lapse.workload.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      socket: { type: 'string', default: '/run/lapsed/control.sock' },
      help: { type: 'boolean', default: false },
    },
  });
  const [stage] = positionals;
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  if (stage !== 'create' && stage !== 'delete') throw new DaemonError('hook-refused', USAGE);
  const { id, pid, workload } = parseState(readFileSync(0));
  if (workload === undefined) return;
  await call(
    stage === 'create'
      ? {
          to: values.socket,
          method: 'POST',
          path: '/v1/workloads',
          body: { id, workload, pid, cgroup: readFileSync(`/proc/${pid}/cgroup`, 'utf8') },
        }
      : { to: values.socket, method: 'DELETE', path: `/v1/workloads/${encodeURIComponent(id)}` },
  );
}

async function call(request: Omit<HttpRequest, 'signal'>): Promise<void> {
  const { status, body } = await answered(request, systemClock());
  // A container that was never registered has nothing to be taken back.
  if (status >= 300 && !(request.method === 'DELETE' && status === 404)) {
    throw new DaemonError('hook-refused', `lapsed refused: ${body}`);
  }
}

/** While lapsed is replaced by its next self nobody answers for a moment. Asking the same twice does no harm. */
async function answered(request: Omit<HttpRequest, 'signal'>, clock: Clock): Promise<ControlAnswer> {
  const end = clock.boot() + RETRY_MS.within;
  for (;;) {
    try {
      const answer = await callControl(request, clock);
      if (answer.status !== CLOSING || clock.boot() > end) return answer;
    } catch (error) {
      if (clock.boot() > end) throw error;
    }
    await clock.sleep(RETRY_MS.pause);
  }
}

try {
  await main();
} catch (error) {
  const code = isLapseError(error) ? error.code : 'hook-refused';
  process.stderr.write(
    `lapse-oci-hook: ${error instanceof Error ? error.message : String(error)} [${code}]\n`,
  );
  process.exitCode = 1;
}
