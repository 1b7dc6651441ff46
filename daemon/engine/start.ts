// Starts the engine that the configuration names: "kernel" serves from a worker thread, under a holder; "fuse-native" from
// the main thread, for one workload.
import type { Engine, EngineParts } from './engine.ts';
import { startKernel } from './kernel.ts';
import { startNative } from './native.ts';

/** @throws FuseError mount-in-use, mount-foreign, mount-failed, state-invalid, engine-unavailable; DaemonError worker-failed */
export function startEngine(parts: EngineParts): Promise<Engine> {
  const { config, held } = parts;
  if (config.workload !== undefined) return startNative(parts, config.workload);
  if (held === undefined) throw new RangeError('the engine "kernel" needs a holder');
  return startKernel(parts, held);
}
