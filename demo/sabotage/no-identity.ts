// The serving thread with a broken identity check: everybody is web.
import { runServingThread } from '../../daemon/serving-thread.ts';
import { parseWorkload } from '../../manifest/names.ts';

runServingThread({ identify: () => parseWorkload('web') });
