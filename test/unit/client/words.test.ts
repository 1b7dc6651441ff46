// Lines of the shell as words, and what is refused rather than misread.
import { expect, test } from 'vitest';
import { splitWords } from '../../../client/cli/words.ts';

test.for<[string, readonly string[]]>([
  ['', []],
  ['   \t ', []],
  ['# a comment', []],
  ['secret list', ['secret', 'list']],
  ['  secret \t list  ', ['secret', 'list']],
  ['secret list # all of them', ['secret', 'list']],
  ['grant a#b', ['grant', 'a#b']],
  [`--reason 'it is out; really'`, ['--reason', 'it is out; really']],
  [`--reason "it's out"`, ['--reason', "it's out"]],
  [String.raw`--reason "a \"quote\" and a \\ and a \n"`, ['--reason', 'a "quote" and a \\ and a \\n']],
  [String.raw`--reason 'no \escape'`, ['--reason', String.raw`no \escape`]],
  [String.raw`a\ b \# \| \$`, ['a b', '#', '|', '$']],
  [`a'b c'd"e f"g`, ['ab cde fg']],
  [`''`, ['']],
  [`put "" x`, ['put', '', 'x']],
  [`"$HOME" '\`id\`'`, ['$HOME', '`id`']],
])('%j', ([line, words]) => expect(splitWords(line)).toEqual(words));

test.for([
  'printf x | lapse secret put a/b',
  'secret list > file',
  'secret list; exit',
  'secret list && exit',
  'secret put $NAME',
  'secret put `id`',
  `--reason 'open`,
  `--reason "open`,
  String.raw`--reason "open\"`,
  'ends with \\',
])('%j: usage', (line) => {
  expect(() => splitWords(line)).toThrow(expect.objectContaining({ code: 'usage' }));
});
