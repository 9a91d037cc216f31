import { createPrivateKey, sign as cryptoSign } from 'node:crypto';
import { promisify } from 'node:util';
import { phpJsonEncode } from '../../dist/src/provider/php-json.js';
import { clocksOf } from '../cpu.mjs';
import { atLeast, check, interleaved, paced, row } from '../measure.mjs';
import { ACCOUNT, onStage } from '../stage.mjs';

const CONNECTIONS = 32;
const FIRST_ID = 100_000_000;
/** A short one and a whole one: what is hot is compiled by then. */
const WARM_UPS = 2;
const sign = promisify(cryptoSign);

/** Signed notifications settled a second, each of a payout of its own. */
export async function measure({ quick, say, ...options }) {
  const rounds = quick ? 2 : 5;
  const most = quick ? 512 : 1_600;
  const total = (WARM_UPS + rounds) * most;
  return onStage(options, async (stage) => {
    const load = await stage.load();
    say(`signing ${total} notifications`);
    const queries = await signedQueries(total, stage.keys.notification.privateKey);
    const databases = { ours: await stage.migratedDatabase('ours'), bare: await stage.database('bare') };
    await insertWaiting(databases.ours.pool, total);
    await insertBare(databases.bare.pool, total);
    const targets = {
      ours: await stage.application({ database: databases.ours }),
      bare: await stage.rival('update.process.mjs', { database: databases.bare }),
    };
    const tables = { ours: 'alikassa_payouts', bare: 'payouts' };
    const done = { ours: 0, bare: 0 };
    const clocks = clocksOf(stage, targets, { load: load.process });
    const rate = async (name, count) => {
      const turn = queries.slice(done[name], done[name] + count);
      const url = targets[name].notifications;
      const question = { kind: 'notify', url, connections: CONNECTIONS, amount: count, queries: turn };
      const [{ ok, failed, perSecond, statuses }] = await clocks[name].during(
        () => load.ask(question),
        () => count,
      );
      check(
        failed === 0 && ok === count,
        `${count - ok} notifications of "${name}" failed: ${JSON.stringify(statuses)}`,
      );
      done[name] += count;
      const { rows } = await databases[name].pool.query(
        `SELECT count(*)::int AS paid FROM ${tables[name]} WHERE status = 'paid'`,
      );
      check(rows[0].paid === done[name], `"${name}" has ${rows[0].paid} paid rows instead of ${done[name]}`);
      return perSecond;
    };
    const side = (name) => paced((count) => rate(name, count), { quick, most, seconds: 2.5 });
    const { ours, bare } = await interleaved(
      { ours: side('ours'), bare: side('bare') },
      { rounds, say, warmUps: WARM_UPS },
    );
    for (const [name, clock] of Object.entries(clocks))
      say(`processor time of one notification, ${name}: ${clock.perUnit()}`);
    return [row('notify', ours, bare, 'settled/s', atLeast(0.6))];
  });
}

async function signedQueries(count, privateKey) {
  const key = createPrivateKey(privateKey);
  const queries = [];
  const batch = 64;
  for (let first = 1; first <= count; first += batch) {
    const numbers = Array.from({ length: Math.min(batch, count - first + 1) }, (_, index) => first + index);
    queries.push(...(await Promise.all(numbers.map((number) => signedQuery(number, key)))));
  }
  return queries;
}

/** In the order that is signed (the provider's documents). */
async function signedQuery(number, key) {
  const fields = { type: 'payout', id: FIRST_ID + number, order_id: `order-${number}`, payment_status: 'paid' };
  Object.assign(fields, { amount: '12.00', payment_amount: '12.00', commission_amount: '0.12' });
  Object.assign(fields, { is_partial_payment: '0', account: ACCOUNT, service: 'qiwi_rub', desc: null });
  const signature = await sign('sha1', Buffer.from(phpJsonEncode(fields)), key);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== null) query.set(name, String(value));
  query.set('sign', signature.toString('base64'));
  return query.toString();
}

/**
 * Payouts as they are once the provider has accepted them: row and history; a first status call is not due before the
 * part is over. Written by SQL, since sending them would take most of the part's time.
 */
async function insertWaiting(pool, count) {
  const client = await pool.connect();
  // The database lets nobody begin a payout in the middle of its way.
  await client.query('SET session_replication_role = replica');
  await client.query(
    `INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, status, attempt,
       revision, possibly_sent, provider_id, due_at, key_id, recipient_ciphertext, number_fingerprint,
       content_fingerprint)
     SELECT gen_random_uuid(), 'order-' || n, $2, 'RUB', 12, 'qiwi_rub', '*******4455', 'wait', 1, 2, true, $3 + n,
       now() + interval '1 hour', 'seed', decode(repeat(md5(n::text), 14), 'hex'), sha256(('number' || n)::bytea),
       sha256(('content' || n)::bytea)
     FROM generate_series(1, $1::int) AS n`,
    [count, ACCOUNT, FIRST_ID],
  );
  await client.query(
    `INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt)
     SELECT id, type, from_status, to_status, event.attempt FROM alikassa_payouts, (VALUES
       ('created', NULL, 'queued', 0), ('claimed', 'queued', 'sending', 1), ('submission', 'sending', 'wait', 1)
     ) AS event (type, from_status, to_status, attempt)`,
  );
  await client.query('RESET session_replication_role');
  client.release();
  await pool.query('VACUUM ANALYZE');
}

async function insertBare(pool, count) {
  await pool.query(
    `CREATE TABLE payouts (order_id text PRIMARY KEY, account uuid NOT NULL, amount numeric(11, 2) NOT NULL,
       number text NOT NULL, service text NOT NULL, status text NOT NULL, updated_at timestamptz NOT NULL)`,
  );
  await pool.query(
    `INSERT INTO payouts SELECT 'order-' || n, $2, 12, '79005554455', 'qiwi_rub', 'wait', now()
     FROM generate_series(1, $1::int) AS n`,
    [count, ACCOUNT],
  );
  await pool.query('VACUUM ANALYZE');
}
