import type { AliKassaSimulator } from '../../src/testing/index.js';
import type { TestDatabase } from './database.js';

/**
 * How often the provider was asked to pay an order. What it has accepted would hide a second time: it refuses an
 * order_id that is taken, which a real one does not promise (PROVIDER.md, "Create a payout").
 */
export function submissionsOf({ requests }: Pick<AliKassaSimulator, 'requests'>, orderId: string): number {
  return requests.filter((one) => one.endpoint === 'payout' && one.orderId === orderId).length;
}

/** @throws Error if an order reached the provider more than once and more often than an `unknown` payout was sent again. */
export async function refuseSecondSubmissions(simulator: AliKassaSimulator, { pool }: TestDatabase): Promise<void> {
  const orders = new Set(simulator.requests.map(({ orderId }) => orderId ?? ''));
  for (const orderId of orders) {
    const submissions = submissionsOf(simulator, orderId);
    if (submissions < 2) continue;
    // A person, or `onNotFound: 'resubmit'`.
    const { rowCount } = await pool.query(
      `SELECT FROM alikassa_payout_events JOIN alikassa_payouts AS payout ON payout.id = payout_id
       WHERE order_id = $1 AND from_status = 'unknown' AND to_status = 'queued'`,
      [orderId],
    );
    if (submissions > 1 + (rowCount ?? 0)) {
      throw new Error(`Order ${orderId} was submitted ${submissions} times; it was sent again ${rowCount} times.`);
    }
  }
}
