import { FLAGS, type CommandTable } from './command.js';

const WIDTH = 92;

/** What `alikassa --help` says. */
export function helpOfAll(commands: CommandTable): string {
  const usages = Object.keys(commands).map((name) => usageOf(commands, name));
  const column = Math.max(...usages.map((usage) => usage.length)) + 2;
  const lines = Object.values(commands).map(({ summary }, index) => {
    const [first = '', ...rest] = wrapped(summary, WIDTH - column);
    return [(usages[index] ?? '').padEnd(column) + first, ...rest.map((line) => ' '.repeat(column) + line)]
      .map((line) => `  ${line}`)
      .join('\n');
  });
  return `Payouts through AliKassa.

Usage: alikassa <command>

${lines.join('\n')}

  --help     show this, or with a command what it does
  --version  show the version

Settings come from the environment and from the file .env; .env.example explains each one.
Exit codes: 0 done, 1 failed, 2 wrong usage.`;
}

/** What `alikassa <command> --help` says. */
export function helpOf(commands: CommandTable, name: string): string {
  const { summary, details, flag } = commands[name] ?? { summary: '' };
  const text = [
    ...wrapped(`${summary[0]?.toUpperCase() ?? ''}${summary.slice(1)}.`, WIDTH),
    ...(details ? ['', details] : []),
  ];
  const flags = flag ? `\n\n  --${flag}  ${FLAGS[flag]}` : '';
  return `Usage: alikassa ${usageOf(commands, name)}${flag ? ` [--${flag}]` : ''}\n\n${text.join('\n')}${flags}

Exit codes: 0 done, 1 failed, 2 wrong usage.`;
}

function usageOf(commands: CommandTable, name: string): string {
  const { argument } = commands[name] ?? {};
  return argument ? `${name} ${argument}` : name;
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
