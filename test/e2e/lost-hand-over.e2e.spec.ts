import { DataSource } from 'typeorm';
import type pg from 'pg';
import { guardConnections } from '../../src/worker/worker.pool.js';
import { startApplication, type TestApplication } from '../helpers/application.js';

let host: TestApplication;
beforeAll(async () => (host = await startApplication()));
afterAll(async () => host.stop());

it('a connection of the DataSource that is lost between its hand-over and its user does not end the process', async () => {
  const { master: pool } = host.app.get(DataSource).driver as unknown as { master: pg.Pool };
  // As pg-pool hands it over, without a listener of its own; the last one is new.
  const clients: pg.PoolClient[] = [];
  for (let count = pool.idleCount + 1; count > 0; count--) clients.push(await pool.connect());
  const client = clients.at(-1)!;
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const lost = new Promise((resolve) => client.once('end', () => resolve('lost')));
  await host.database.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
  expect(await lost).toBe('lost');
  for (const one of clients) one.release(one === client);
  await host.http().get('/alikassa/payouts').expect(200);
});

it('its pool is given one listener, however many instances share it', () => {
  const { master: pool } = host.app.get(DataSource).driver as unknown as { master: pg.Pool };
  const before = pool.listenerCount('connect');
  guardConnections(host.app.get(DataSource));
  expect(pool.listenerCount('connect')).toBe(before);
});
