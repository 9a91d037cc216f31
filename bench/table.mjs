import { shown } from './measure.mjs';

const HEAD = ['name', 'ours', 'other', 'ratio', 'unit', 'reach', ''];

/** The results as text: one line each, columns aligned. */
export function table(rows) {
  const lines = [HEAD, ...rows.map((row) => cells(row))];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => pad(cell, widths[column], column))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cells(row) {
  const { name, ours, other, ratio, unit, reach = '', isReached } = row;
  const verdict = isReached ? (isReached(row) ? 'ok' : 'below') : '';
  const numbers = [ours, other, ratio].map((value) => shown(value));
  return [name, ...numbers, unit, reach, verdict];
}

/** Numbers to the right. */
function pad(cell, width, column) {
  return column >= 1 && column <= 3 ? cell.padStart(width) : cell.padEnd(width);
}
