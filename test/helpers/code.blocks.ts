import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fenced block of the README or a guide. */
export interface CodeBlock {
  /** File and line, e.g. `docs/states.md:12`. */
  at: string;
  language: string;
  /** What follows the language, e.g. `no-run`. */
  note: string;
  code: string;
}

export const GUIDES = ['README.md', ...readdirSync('docs', { encoding: 'utf8' }).map((name) => join('docs', name))]
  .filter((name) => name.endsWith('.md'))
  .sort();

/** Every fenced block, indented ones included. */
export function codeBlocks(file: string): CodeBlock[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^( *)```([a-z0-9-]*) *(.*)\n([\s\S]*?)^\1```$/gm)].map(
    ({ index, 1: indent = '', 2: language = '', 3: note = '', 4: code = '' }) => ({
      at: `${file}:${text.slice(0, index).split('\n').length}`,
      language,
      note,
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
}
