import type pg from 'pg';

/** The shapes in which a value could leak: as it is, escaped for a URL or JSON, in base64 at each offset, in hex. */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const escaped = Array.from(value, (char) =>
    char > '\u007f' ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : char,
  ).join('');
  const hex = bytes.toString('hex');
  return [...new Set([value, encodeURIComponent(value), escaped, hex, hex.toUpperCase(), ...base64At(bytes)])];
}

/** What of the value is the same in the base64 of any text that contains it; it depends on where it begins. */
function base64At(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
    const whole = padded.subarray(0, padded.length - (padded.length % 3));
    // The first characters also hold bits of what stands before the value.
    const text = whole.toString('base64').slice(offset === 0 ? 0 : 4);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Every row of every table that is not Postgres' own, as text: bytea in hex, as a dump would have it. */
export async function dumpOf(pool: pg.Pool): Promise<string> {
  const { rows: tables } = await pool.query<{ path: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS path FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const parts = await Promise.all(
    tables.map(async ({ path }) => {
      const { rows } = await pool.query<{ line: string }>(`SELECT one::text AS line FROM ${path} AS one`);
      return [path, ...rows.map(({ line }) => line)].join('\n');
    }),
  );
  return parts.join('\n');
}
