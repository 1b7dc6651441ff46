// Splits a line of the shell into words: blanks separate, quotes and the backslash keep together. What a real shell would
// do more (pipes, variables, redirections) is refused where it is not quoted, never silently taken as a word.
import { ClientError } from '../errors.ts';

const BLANK = /[ \t]/;
const FOREIGN = /[|&;<>$`]/;

/** Nothing for an empty line and for a comment. @throws ClientError usage */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const character = line[i] ?? '';
    if (character === "'" || character === '"') {
      const end = closing(line, i, character);
      word = (word ?? '') + unescape(line.slice(i + 1, end), character);
      i = end;
    } else if (character === '\\') {
      if (i + 1 === line.length) throw new ClientError('usage', 'the line ends with a backslash');
      word = (word ?? '') + (line[++i] ?? '');
    } else if (BLANK.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === '#' && word === undefined) {
      break;
    } else if (FOREIGN.test(character)) {
      throw new ClientError(
        'usage',
        `there is no ${character} in this shell; put it in quotes to mean itself`,
      );
    } else {
      word = (word ?? '') + character;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** Where the quote that begins at `start` ends; within double quotes a backslash hides one. */
function closing(line: string, start: number, quote: string): number {
  for (let i = start + 1; i < line.length; i++) {
    if (line[i] === quote) return i;
    if (line[i] === '\\' && quote === '"') i++;
  }
  throw new ClientError('usage', `a quote ${quote} is not closed`);
}

/** Within double quotes the backslash speaks only before a quote or another backslash; within single ones never. */
function unescape(text: string, quote: string): string {
  return quote === '"' ? text.replaceAll(/\\(["\\])/g, '$1') : text;
}
