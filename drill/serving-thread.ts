// The serving thread of a lapsed whose wall clock is moved: its own is moved like the main thread's.
import { runServingThread } from '../daemon/serving-thread.ts';
import { moveWallClock } from './wall-clock.ts';

moveWallClock();
runServingThread();
