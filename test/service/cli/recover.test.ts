// Replays docs/operations/recover.md with the real programs, on one realm that loses one thing after the other: in each
// section what was lost is moved away before its commands run. Paths and the lost key's id are other ones here, the rest is
// the page's own.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openAll } from '../../support/cli-host.ts';
import { Stage } from '../../support/cli-stage.ts';
import { outputPattern, pageSteps } from '../../support/transcript.ts';

const PAGE = join(import.meta.dirname, '../../../docs/operations/recover.md');
const LOST_KEY = '4f1c09be7d2a6358';

/** What is gone when a section begins; alice was signer, revoker and custodian, and each loss is one of these. */
const LOSSES: Readonly<Record<string, string>> = {
  'A root member': 'root-3',
  "A namespace's key": 'signer',
  "A revoker's key": 'revoker',
  'A custodian': 'custodian',
};

/** A realm of several people: root is on two sticks, a third is about to be lost. */
async function begin(stage: Stage): Promise<void> {
  writeFileSync(join(stage.directory, 'passphrase'), 'correct horse battery staple\n');
  for (const stick of ['one', 'two', 'three', 'gone'])
    mkdirSync(join(stage.directory, 'media', stick), { recursive: true });
  const people = ['signer', 'revoker', 'custodian', 'bob'];
  const said = [
    await stage.run('lapse init --service $URL --root 2of3 --no-passphrase'),
    ...(await all(people, (name) => stage.ask(`identity create ${name} --no-passphrase`))),
    await stage.ask('namespace add payments --signer signer --revoker revoker --custodian custodian'),
    await stage.run('printf %s first-horse | lapse secret put payments/db-password'),
    await stage.run('printf %s old-horse | lapse secret put payments/old-password'),
    await stage.run(
      'lapse host invite > line && mkdir web-1 && lapsed join --name web-1 --state web-1/old --no-wait < line && lapse host approve --yes',
    ),
  ];
  expect(said.join('\n')).not.toContain('[exit');
  lose(stage, 'root-1', 'media/one');
  lose(stage, 'root-2', 'media/two');
}

async function all<T, U>(values: readonly T[], work: (value: T) => Promise<U>): Promise<readonly U[]> {
  const results: U[] = [];
  for (const value of values) results.push(await work(value));
  return results;
}

function lose({ directory }: Stage, name: string, where = 'media/gone'): void {
  renameSync(
    join(directory, 'operator/identities', `${name}.identity`),
    join(directory, where, `${name}.identity`),
  );
}

test('each loss is ended as its section says', { timeout: 180_000 }, async () => {
  await using stage = await Stage.make();
  await begin(stage);
  const { keyid } = JSON.parse(await stage.run('lapse --json identity show root-3')) as { keyid: string };
  const local = (text: string): string =>
    text
      .replaceAll('/var/lib/lapse-service', 'store')
      .replaceAll('~/.config/lapse', 'operator')
      .replaceAll('/media/', 'media/')
      .replaceAll(LOST_KEY, keyid.slice(0, 16));
  const sections = readFileSync(PAGE, 'utf8').split(/^## /m).slice(1);
  const lost = new Set<string>();
  let replayed = 0;
  for (const section of sections) {
    const title = section.slice(0, section.indexOf('\n'));
    const loss = LOSSES[title];
    if (loss !== undefined) {
      lose(stage, loss);
      lost.add(title);
    }
    for (const { who, command, expected } of pageSteps(section)) {
      const place = who === 'web-1' ? 'cd web-1; ' : '';
      const said = await stage.run(place + local(command).replace('< web-1.invite', '< ../web-1.invite'));
      expect(said, `${who}$ ${command}`).toMatch(outputPattern(local(expected)));
      expect(said, `${who}$ ${command}`).not.toContain('[exit');
      replayed++;
    }
  }
  expect(lost.size).toBe(Object.keys(LOSSES).length);
  expect(replayed).toBeGreaterThan(15);
  // The host that was built anew reads what was put for its pool since.
  const opened = await openAll(join(stage.directory, 'web-1/state'));
  expect([...opened].filter(([, value]) => value).map(([path]) => path)).toContain('payments/db-password@4');
});
