import { ConfigurationError, RecipientUnreadableError } from '../../alikassa.errors.js';
import { DEFAULT_INSTANCE, type ResolvedOptions } from '../../alikassa.options.js';
import { RecipientCipher } from '../../payouts/recipient.cipher.js';
import { checkDatabase, checkMigrations, query } from '../database.js';
import type { StepReport } from '../step.report.js';

/** The last migration of the job engine that is installed. */
const ENGINE_MIGRATION = 19;
/** Differences up to this are the network's, or harmless. */
const MAX_CLOCK_DIFFERENCE_MS = 30_000;
/** What pg's pool holds unless it is told otherwise, and the engine's beside its tasks. */
const REQUEST_POOL = 10;
const ENGINE_EXTRA = 2;

/** By name; those of columns where a list follows. */
type Rights = Readonly<Partial<Record<'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE', true | string>>>;

const SEALED = 'key_id recipient_ciphertext number_fingerprint content_fingerprint';
/** As docs/DATABASE.md grants them. */
const RIGHTS: Readonly<Record<string, Rights>> = {
  alikassa_payouts: {
    SELECT: true,
    INSERT: `id instance order_id account currency amount service number_masked status due_at ${SEALED}`,
    UPDATE:
      'status attempt attempt_token revision lease_until possibly_sent provider_id payment_amount commission_amount ' +
      'is_partial_payment attention heard ended_by refused_at unsent_count unsent_total not_found_count not_found_since ' +
      `check_count epoch doubted_at due_at updated_at settled_at ${SEALED}`,
  },
  alikassa_payout_events: {
    SELECT: true,
    INSERT: 'payout_id type from_status to_status attempt revision decision actor detail',
  },
  alikassa_notifications: {
    SELECT: true,
    INSERT: 'instance digest type order_id provider_id payment_status account result',
    UPDATE: 'result received_count last_received_at',
  },
  alikassa_account_pauses: {
    SELECT: true,
    INSERT: 'account reason since paused_until',
    UPDATE: 'reason failures since is_probing paused_until',
    DELETE: true,
  },
  alikassa_deliveries: { SELECT: true, INSERT: 'event_id handler instance', UPDATE: 'attempt due_at', DELETE: true },
  alikassa_database_epochs: { SELECT: true, INSERT: 'id identity reason ask_until', UPDATE: 'next_ask_at' },
  alikassa_keys: { SELECT: true, INSERT: true },
};
const ENGINE_RIGHTS: Readonly<Record<string, Rights>> = {
  jobs: { SELECT: true },
  _private_known_crontabs: { SELECT: true },
  _private_tasks: { SELECT: true, INSERT: true },
  _private_job_queues: { SELECT: true, INSERT: true, UPDATE: true },
  _private_jobs: { SELECT: true, INSERT: true, UPDATE: true, DELETE: true },
};

/** The database and what of it a payout needs, one line each. */
export async function examineDatabase(report: StepReport, url: string, options: ResolvedOptions): Promise<void> {
  const { schema, concurrency } = options.worker;
  const version = await report.checked('database', () => checkDatabase(url), String);
  if (version === undefined) {
    report.fail('migrations', 'not checked: mend the database first');
    return;
  }
  await report.checked('clock', () => checkClock(url), String);
  await report.checked('connections', () => checkConnections(url, REQUEST_POOL + concurrency + ENGINE_EXTRA), String);
  const migrations = await report.checked('migrations', () => checkAllMigrations(url, schema), String);
  if (migrations === undefined) return;
  const rights = await report.checked('rights', () => checkRights(url, schema), String);
  if (rights === undefined) return;
  await report.checked('key ring', () => checkKeyRing(url, new RecipientCipher(options.encryptionKeys)), String);
}

/** Certificates and cards expire by this machine's clock, leases and schedules by the database's. */
async function checkClock(url: string): Promise<string> {
  const before = Date.now();
  const [row] = await query<{ ms: number }>(url, 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float AS ms');
  const after = Date.now();
  const ms = row?.ms ?? before;
  const difference = ms > after ? ms - after : Math.max(before - ms, 0);
  if (difference <= MAX_CLOCK_DIFFERENCE_MS) return 'this machine and the database agree on the time';
  const how = `${Math.round(difference / 1_000)} s ${ms > after ? 'behind' : 'ahead of'}`;
  throw new ConfigurationError('clock', `this machine's is ${how} the database's; let NTP set both`);
}

/** Payouts wait, and time out, where the server gives fewer than one process takes. */
async function checkConnections(url: string, needed: number): Promise<string> {
  const [row] = await query<{ server: number; role: number; base: number }>(
    url,
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS server,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS base`,
  );
  const limits = Object.entries(row ?? {}).filter(([, limit]) => limit >= 0);
  const [name, limit] = limits.toSorted(([, a], [, b]) => a - b)[0] ?? ['server', needed];
  if (limit >= needed) return `up to ${needed} for this process, ${limit} at most`;
  const mends: Readonly<Record<string, string>> = {
    server: 'raise max_connections',
    role: "raise the role's CONNECTION LIMIT",
    base: "raise the database's CONNECTION LIMIT",
  };
  throw new ConfigurationError(
    'DATABASE_URL',
    `gives at most ${limit} connections, and one process takes up to ${needed}; ${mends[name]}, or lower ALIKASSA_CONCURRENCY`,
  );
}

async function checkAllMigrations(url: string, schema: string): Promise<string> {
  const found = await checkMigrations(url, schema);
  const [row] = await query<{ last: number | null }>(url, `SELECT max(id)::int AS last FROM "${schema}".migrations`);
  if ((row?.last ?? 0) >= ENGINE_MIGRATION) return found;
  throw new ConfigurationError(
    'DATABASE_URL',
    `the job engine's schema ${schema} is of an older version (${row?.last ?? 0} of ${ENGINE_MIGRATION}); run "alikassa migrate" as the owner`,
  );
}

/** What the role may not do; and tables that row-level security leaves empty to it. */
async function checkRights(url: string, schema: string): Promise<string> {
  const wanted = [
    ...Object.entries(RIGHTS),
    ...Object.entries(ENGINE_RIGHTS).map(([table, rights]) => [`"${schema}".${table}`, rights] as const),
  ].flatMap(([table, rights]) =>
    Object.entries(rights).flatMap(([right, columns]) =>
      columns === true ? [[table, right, null]] : columns.split(' ').map((column) => [table, right, column]),
    ),
  );
  const missing = await query<{ what: string }>(
    url,
    `SELECT right_name || CASE WHEN bool_or(granted)
         THEN ' (' || string_agg(column_name, ', ' ORDER BY column_name) FILTER (WHERE NOT granted) || ')' ELSE ''
       END || ' on ' || table_name AS what
       FROM (SELECT *, CASE WHEN to_regclass(table_name) IS NULL THEN false
           WHEN column_name IS NULL THEN has_table_privilege(table_name, right_name)
           ELSE has_column_privilege(table_name, column_name, right_name) END AS granted
         FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (table_name, right_name, column_name)) AS wanted
       GROUP BY table_name, right_name HAVING NOT bool_and(granted)
     UNION ALL
     SELECT 'a policy on ' || oid::regclass FROM pg_class
       WHERE relnamespace = $4::regnamespace AND relrowsecurity AND row_security_active(oid) AND NOT EXISTS (
         SELECT FROM pg_policy, unnest(polroles) AS role
         WHERE polrelid = pg_class.oid AND (role = 0 OR pg_has_role(role, 'USAGE')))`,
    [...[0, 1, 2].map((at) => wanted.map((parts) => parts[at])), `"${schema}"`],
  );
  if (missing.length === 0) return 'the role may do all that it must';
  const what = missing.map((row) => row.what).join('; ');
  throw new ConfigurationError(
    'DATABASE_URL',
    `its role lacks ${what}; run the grants of docs/DATABASE.md as the owner`,
  );
}

/** Every key that rows are under must be there, and be the one that it was. */
async function checkKeyRing(url: string, cipher: RecipientCipher): Promise<string> {
  const uses = await query<{ keyId: string; rows: number; seq: string }>(
    url,
    `SELECT key_id AS "keyId", count(*)::int AS rows, max(seq) AS seq FROM alikassa_payouts
     WHERE instance = $1 AND recipient_ciphertext IS NOT NULL GROUP BY key_id ORDER BY key_id`,
    [DEFAULT_INSTANCE],
  );
  const fault = (what: string): ConfigurationError => new ConfigurationError('ALIKASSA_ENCRYPTION_KEYS', what);
  for (const { keyId, rows, seq } of uses) {
    if (!cipher.keyIds.includes(keyId)) {
      throw fault(`lacks the key "${keyId}", and ${rows} row(s) are under it; add it behind the first (docs/KEYS.md)`);
    }
    if (!(await opens(url, cipher, seq))) {
      throw fault(
        `has another key under the id "${keyId}" than ${rows} row(s) were encrypted with; give it back its own`,
      );
    }
  }
  const checks = await query<{ keyId: string; value: Buffer }>(
    url,
    'SELECT key_id AS "keyId", check_value AS value FROM alikassa_keys WHERE instance = $1',
    [DEFAULT_INSTANCE],
  );
  const other = checks.find(
    ({ keyId, value }) => cipher.keyIds.includes(keyId) && !cipher.checkValue(keyId).equals(value),
  );
  if (other)
    throw fault(`has another key under the id "${other.keyId}" than the service has run with; give it back its own`);
  return `it has the keys of all rows; new ones go under "${cipher.activeKeyId}"`;
}

async function opens(url: string, cipher: RecipientCipher, seq: string): Promise<boolean> {
  const [row] = await query<{ id: string; keyId: string; ciphertext: Buffer }>(
    url,
    'SELECT id, key_id AS "keyId", recipient_ciphertext AS ciphertext FROM alikassa_payouts WHERE instance = $1 AND seq = $2',
    [DEFAULT_INSTANCE, seq],
  );
  try {
    if (row?.ciphertext) cipher.open(row.id, row);
    return true;
  } catch (error) {
    if (error instanceof RecipientUnreadableError) return false;
    throw error;
  }
}
