// The entry of the serving thread; `serving-thread.ts` says what it does.
import { runServingThread } from './serving-thread.ts';

runServingThread();
