// Which release of Lapse this is: what `lapse --version` says, and what a drill was measured with.
import { readFileSync } from 'node:fs';

export const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { readonly version: string };
