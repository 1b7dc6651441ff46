// Registering and unregistering a workload. The answer comes when the file system knows: a container that starts
// after it finds its `self` at once.
import type { FastifyInstance } from 'fastify';
import { parseWorkload } from '../../../manifest/names.ts';
import { DaemonError } from '../../errors.ts';
import { parseCgroup } from '../../identity/cgroup.ts';
import { identifyProcess } from '../../identity/process.ts';
import type { Serving } from '../../serving.ts';

interface Registration {
  readonly id: string;
  readonly workload: string;
  /** The text of /proc/PID/cgroup of the container's first process. */
  readonly cgroup: string;
  /** That process, when the workload ends with it. */
  readonly pid?: number;
}

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength });

const REGISTRATION = {
  type: 'object',
  required: ['id', 'workload', 'cgroup'],
  additionalProperties: false,
  properties: {
    id: text(256),
    workload: text(128),
    cgroup: text(4096),
    pid: { type: 'integer', minimum: 1 },
  },
} as const;

export function workloadRoutes(app: FastifyInstance, serving: Serving): void {
  app.post<{ Body: Registration }>(
    '/v1/workloads',
    { schema: { body: REGISTRATION } },
    async (request, reply) => {
      const { id, workload, cgroup, pid } = request.body;
      const group = parseCgroup(cgroup);
      if (group === undefined) {
        throw new DaemonError(
          'cgroup-unusable',
          `${id} is in no control group of its own; it cannot be told apart`,
        );
      }
      const init = pid === undefined ? undefined : identifyProcess(pid);
      if (pid !== undefined && !init)
        throw new DaemonError('workload-unknown', `the process of ${id} has ended`);
      await serving.register({
        id,
        workload: parseWorkload(workload),
        cgroup: group,
        ...(init ? { init } : {}),
      });
      return reply.code(201).send({ id, workload, cgroup: group });
    },
  );

  app.delete<{ Params: { id: string } }>('/v1/workloads/:id', async (request, reply) => {
    await serving.unregister(request.params.id);
    return reply.code(200).send({ id: request.params.id });
  });
}
