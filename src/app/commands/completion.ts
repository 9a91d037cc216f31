import type { Environment } from '../app.config.js';
import type { CommandInput, CommandTable } from '../command.js';

/** What may follow the words typed so far: from "" the first words, from "keys" the second ones. */
type Choices = Map<string, string[]>;

/** Prints a completion script for the shell. */
export async function completion(_: Environment, { argument, commands }: CommandInput): Promise<number> {
  const choices = choicesOf(commands);
  console.log(
    argument === 'fish' ? fishScript(choices) : `${argument === 'zsh' ? ZSH_HEAD : ''}${bashScript(choices)}`,
  );
  return 0;
}

/** zsh reads bash's own scripts. */
const ZSH_HEAD = 'autoload -Uz compinit bashcompinit && compinit && bashcompinit\n';

function choicesOf(commands: CommandTable): Choices {
  const choices: Choices = new Map();
  const add = (after: string, word: string): void => {
    const words = choices.get(after) ?? [];
    if (!words.includes(word)) choices.set(after, [...words, word]);
  };
  for (const [name, { choices: values = [], flag }] of Object.entries(commands)) {
    const [first = '', second] = name.split(' ');
    add('', first);
    if (second) add(first, second);
    for (const value of values) add(name, value);
    if (flag) add(name, `--${flag}`);
    if (!second) add(name, '--help');
  }
  for (const word of ['--help', '--version']) add('', word);
  return choices;
}

function bashScript(choices: Choices): string {
  const cases = [...choices].map(([after, words]) => `    "${after}") words="${words.join(' ')}" ;;`);
  return `_alikassa() {
  local words= current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  case "$before" in
${cases.join('\n')}
  esac
  if [ "$before" = sign ]; then COMPREPLY=($(compgen -f -- "$current")); return; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _alikassa alikassa`;
}

function fishScript(choices: Choices): string {
  const lines = [...choices].map(([after, words]) => {
    const condition = after === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${after}`;
    return `complete -c alikassa -n '${condition}' -a '${words.join(' ')}'`;
  });
  return ['complete -c alikassa -f', ...lines, "complete -c alikassa -n '__fish_seen_subcommand_from sign' -F"].join(
    '\n',
  );
}
