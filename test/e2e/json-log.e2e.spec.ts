import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { prepare, type TestSurroundings } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { referenceEnvironment, TOKENS } from '../helpers/reference.js';
import { startService } from '../helpers/service.js';

let surroundings: TestSurroundings;
const folder = mkdtempSync(join(tmpdir(), 'alikassa-json-'));
beforeAll(async () => {
  surroundings = await prepare();
});
afterAll(async () => {
  await surroundings.stop();
  rmSync(folder, { recursive: true });
});

it('LOG_FORMAT=json: every line is one JSON object, with ids and no recipient', async () => {
  const env = { ...referenceEnvironment(surroundings), LOG_FORMAT: 'json', LOG_LEVEL: 'verbose' };
  const service = await startService(env as Record<string, string>, folder);
  const body = payload();
  const created = await fetch(`${service.url}/alikassa/payouts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKENS.all.text}`, 'content-type': 'application/json', prefer: 'wait=10' },
    body: JSON.stringify(body),
  });
  const { id } = (await created.json()) as PayoutDto;
  expect(await service.kill('SIGTERM')).toBe(0);
  const lines = service.output().trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as { level: string; context: string; message: string });
  expect(entries).toContainEqual(
    expect.objectContaining({
      level: 'debug',
      context: 'AliKassaSubmit',
      message: expect.stringContaining(`Payout ${id}: attempt 1 ok`),
    }),
  );
  expect(service.output()).not.toContain(body.number);
});
