import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { isFinal, type PayoutStatus } from '../../src/payouts/payout.status.js';
import { unprotected } from './unprotected.js';

/** Writes a row in any status, past what the database refuses. @returns its id, which is its order_id too. */
export async function rowThatIs(
  pool: pg.Pool,
  status: PayoutStatus,
  possiblySent = false,
  attempt = 1,
): Promise<string> {
  const id = randomUUID();
  await unprotected(
    pool,
    String.raw`INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, status,
       attempt, lease_until, possibly_sent, settled_at, key_id, recipient_ciphertext, number_fingerprint,
       content_fingerprint)
     VALUES ($1::uuid, $1::text, $1::uuid, 'RUB', '5.00', 's', '*', $2::text, $5,
       CASE $2 WHEN 'sending' THEN now() END, $3, CASE WHEN $4 THEN now() END, 'k', '\x01', '\x01', '\x01')`,
    [id, status, possiblySent, isFinal(status), attempt],
  );
  return id;
}
