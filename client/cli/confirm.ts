// Asks before something is taken back or let in. Without a terminal nobody can be asked: then --yes is needed.
import { createInterface } from 'node:readline/promises';
import { ClientError } from '../errors.ts';

/** The last line of the question is what is asked; those before it tell more. @throws ClientError not-confirmed */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) {
    throw new ClientError('not-confirmed', `${question.replaceAll('\n', ' ')} Add --yes to confirm.`);
  }
  using terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new ClientError('not-confirmed', 'nothing was changed');
}
