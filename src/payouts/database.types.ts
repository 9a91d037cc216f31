/** The numbers that Postgres has for its types. */
const OIDS = {
  bool: 16,
  bytea: 17,
  int2: 21,
  int4: 23,
  float8: 701,
  json: 114,
  jsonb: 3802,
  timestamptz: 1184,
} as const;

const PARSERS = new Map<number, (text: string) => unknown>([
  [OIDS.bool, (text) => text === 't'],
  [OIDS.bytea, bytesOf],
  [OIDS.int2, Number],
  [OIDS.int4, Number],
  [OIDS.float8, Number],
  [OIDS.json, (text) => JSON.parse(text) as unknown],
  [OIDS.jsonb, (text) => JSON.parse(text) as unknown],
  [OIDS.timestamptz, refuseTime],
]);

/**
 * How results of the module's statements are read, whatever parsers a host has given pg for its whole process, TypeORM's
 * `parseInt8` included. What has no parser stays text: numeric and bigint keep every digit.
 */
export const OWN_TYPES = { getTypeParser: (oid: number) => PARSERS.get(oid) ?? String };

/** Of a session whose DateStyle is ISO. */
export const ISO_TYPES = {
  getTypeParser: (oid: number) =>
    oid === OIDS.timestamptz ? (text: string) => new Date(text) : OWN_TYPES.getTypeParser(oid),
};

/** SQL of a time, or a list, in the one form that no setting of the session changes; a time comes as ISO text. */
export function plainSql(expression: string): string {
  return `to_json(${expression})`;
}

/** Either form of `bytea_output`. */
function bytesOf(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const plain = text.replace(/\\(?:\\|([0-7]{3}))/g, (_, octal?: string) =>
    octal === undefined ? '\\' : String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1');
}

function refuseTime(): never {
  throw new TypeError('A time is written as the DateStyle of the session says; select it through plainSql().');
}
