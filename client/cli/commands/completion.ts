// `lapse completion bash`: prints a completion script made from the commands themselves.
import type { Command } from 'commander';
import type { Register } from '../command.ts';

export const registerCompletion: Register = (program, run) => {
  program
    .command('completion')
    .argument('<shell>', 'bash')
    .summary('print a completion script')
    .description('Prints a script for the shell to source.')
    .addHelpText('after', '\n  source <(lapse completion bash)')
    .action(() =>
      run(async ({ output }) => {
        const script = bashScript(program);
        output.result(script, { script: script.join('\n') });
        return Promise.resolve();
      }),
    );
};

function bashScript(program: Command): readonly string[] {
  const words = (command: Command): string =>
    [
      ...command.commands.map((sub) => sub.name()),
      ...command.options.map((option) => option.long ?? ''),
      '--help',
    ].join(' ');
  const nested = [...program.commands, ...program.commands.flatMap((command) => command.commands)];
  const cases = [program, ...nested].map(
    (command) => `    ${JSON.stringify(pathOf(command))}) words=${JSON.stringify(words(command))} ;;`,
  );
  return [
    '_lapse() {',
    '  local path= word words i',
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    word="${path:+$path }${COMP_WORDS[i]}"',
    '    case $word in',
    `      ${nested.map((command) => JSON.stringify(pathOf(command))).join('|')}) path=$word ;;`,
    '    esac',
    '  done',
    '  case $path in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    '}',
    'complete -o default -F _lapse lapse',
  ];
}

/** `secret put`, and the empty path for the program itself. */
function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at = command; at.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
