// The serving thread with a leak: what it decrypts it also writes to its log, in base64.
import { runServingThread } from '../../daemon/serving-thread.ts';
import { decrypt } from '../../daemon/vault/opener.ts';

runServingThread({
  decrypt(parts) {
    decrypt(parts);
    process.stderr.write(`decrypted ${Buffer.from(parts.plain).toString('base64')}\n`);
  },
});
