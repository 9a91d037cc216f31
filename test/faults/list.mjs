#!/usr/bin/env node
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Prints which faults of the matrix have a test, and exits with 1 if one has none, has two, or is skipped.
 * A test is named `<number>: <fault> -> <outcome>`, literally so in its source.
 */
/** Numbers of the matrix; those between belong to what is not promised yet. */
const MATRIX = [...range(1, 136), 138, 142, ...range(149, 155)];
const NAME = /(['"`])(\d{1,3}): (.+?)\1/g;
const SKIPPED = /\b(?:x(?:it|test)|(?:it|test|describe)\.(?:skip|todo|failing))\b/;

const folder = dirname(fileURLToPath(import.meta.url));
const found = new Map();
const problems = [];
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.spec.ts'))
  .sort()) {
  const source = readFileSync(join(folder, file), 'utf8');
  if (SKIPPED.test(source)) problems.push(`${file} skips a test`);
  for (const [, , number, name] of source.matchAll(NAME)) {
    if (found.has(Number(number)))
      problems.push(`${number} has two tests: in ${found.get(Number(number)).file} and ${file}`);
    found.set(Number(number), { file, name });
  }
}
for (const number of MATRIX) {
  const test = found.get(number);
  if (!test) problems.push(`${number} has no test`);
  console.log(`${String(number).padStart(3)}  ${test ? `${test.file.padEnd(28)} ${test.name}` : '-'}`);
}
for (const number of found.keys()) if (!MATRIX.includes(number)) problems.push(`${number} is no fault of the matrix`);
for (const problem of problems) console.error(problem);
console.log(`${found.size} of ${MATRIX.length} faults have a test.`);
process.exitCode = problems.length > 0 ? 1 : 0;

function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
