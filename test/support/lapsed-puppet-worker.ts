// The serving thread of a puppet: its wall clock is moved like the main thread's.
import { getEnvironmentData } from 'node:worker_threads';
import { runServingThread } from '../../daemon/serving-thread.ts';
import { moveWallClock } from './lapsed-puppet-clock.ts';

moveWallClock(getEnvironmentData('strings') as string);
runServingThread();
