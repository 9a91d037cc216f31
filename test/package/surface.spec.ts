import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const FOLDER = new URL('../../docs/api/', import.meta.url);
const { name, exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  exports: Record<string, string | { types: string }>;
};
const entries = Object.keys(exports).filter((entry) => typeof exports[entry] === 'object');
/** As `npm run lint:api` holds them to what is built. */
const reports = readdirSync(FOLDER).map((file) => ({ file, text: readFileSync(new URL(file, FOLDER), 'utf8') }));

describe('the public surface', () => {
  it('has a report for every entry of the package, and no other', () => {
    const expected = entries.map((entry) => `${entry === '.' ? name : basename(entry)}.api.md`);
    expect(reports.map(({ file }) => file).toSorted()).toEqual(expected.toSorted());
  });

  it.each(reports)('of $file has no any', ({ text }) => {
    expect(text.split('\n').filter((line) => /\bany\b/.test(line))).toEqual([]);
  });

  it.each(reports)('of $file says of every export what it is', ({ text }) => {
    expect(text.match(/^\/\/ @public \(undocumented\)\nexport .*/gm) ?? []).toEqual([]);
  });
});
