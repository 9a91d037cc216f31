import { Body, Post } from '@nestjs/common';
import { endpoint, pool, readSetup, serve } from './nest.mjs';

/** A bare controller: one row, in one committed transaction, by one prepared statement. It checks nothing. */
const { port, databaseUrl } = readSetup();
const database = pool(databaseUrl);
await database.query(`
  CREATE TABLE IF NOT EXISTS payouts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    order_id text NOT NULL UNIQUE,
    account uuid NOT NULL,
    amount numeric(11, 2) NOT NULL,
    number text NOT NULL,
    service text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  )`);

const INSERT = {
  // Prepared once for each connection. A single statement is a transaction by itself.
  name: 'insert',
  text: `INSERT INTO payouts (order_id, account, amount, number, service) VALUES ($1, $2, $3, $4, $5)
    RETURNING id, order_id, account, amount, service, created_at`,
};

class InsertController {
  async create({ order_id, account, amount, number, service }) {
    const { rows } = await database.query({ ...INSERT, values: [order_id, account, amount, number, service] });
    return rows[0];
  }
}
endpoint(InsertController, 'create', Post('payouts'), Body());

await serve(InsertController, port);
