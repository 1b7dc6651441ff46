// The container's state as an OCI runtime hands it to a hook.
import { parseJson } from '../../manifest/json.ts';
import { integer, object, string } from '../../manifest/shape.ts';

export const WORKLOAD_ANNOTATION = 'dev.lapse.workload';

const MOST_BYTES = 1 << 20;

export interface ContainerState {
  readonly id: string;
  /** 0 once the container has ended. */
  readonly pid: number;
  /** From the annotation; absent for a container that is none of ours. */
  readonly workload?: string;
}

/** @throws ManifestError json-*, metadata-malformed */
export function parseState(bytes: Uint8Array): ContainerState {
  const raw = object(parseJson(bytes, MOST_BYTES), 'state');
  const annotations = raw['annotations'] === undefined ? {} : object(raw['annotations'], 'state.annotations');
  const workload = annotations[WORKLOAD_ANNOTATION];
  return {
    id: string(raw['id'], 'state.id'),
    pid: raw['pid'] === undefined ? 0 : integer(raw['pid'], 'state.pid'),
    ...(workload === undefined
      ? {}
      : { workload: string(workload, `state.annotations.${WORKLOAD_ANNOTATION}`) }),
  };
}
