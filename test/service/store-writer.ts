// A child for store.test.ts: commits pairs until it is killed, and says on stdout which it was told are durable.
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../service/store/sqlite.ts';

const [path = ''] = process.argv.slice(2);
const store = openSqliteStore(path);
for (let i = Number(Buffer.from((await store.get('left'))?.value ?? '0')) + 1; ; i++) {
  const value = Buffer.from(String(i));
  await store.commit({
    expect: [],
    put: [
      { key: 'left', value },
      { key: 'padding', value: Buffer.alloc(100_000) },
      { key: 'right', value },
    ],
  });
  writeSync(1, `${i}\n`);
}
