import { Get, Query } from '@nestjs/common';
import { endpoint, pool, readSetup, serve } from './nest.mjs';

/** A bare controller: one UPDATE by key, committed, by one prepared statement. It verifies nothing. */
const { port, databaseUrl } = readSetup();
const database = pool(databaseUrl);

const UPDATE = {
  // Prepared once for each connection. A single statement is a transaction by itself.
  name: 'update',
  text: 'UPDATE payouts SET status = $2, updated_at = now() WHERE order_id = $1',
};

class UpdateController {
  async get({ order_id, payment_status }) {
    await database.query({ ...UPDATE, values: [order_id, payment_status] });
    return { status: 'ok' };
  }
}
endpoint(UpdateController, 'get', Get('notifications'), Query());

await serve(UpdateController, port);
