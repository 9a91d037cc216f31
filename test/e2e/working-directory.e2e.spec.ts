import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../helpers/application.js';
import { startHostProcess } from '../helpers/host.js';

it('a file named crontab in the working directory is the host’s: it is neither read nor missed', async () => {
  const surroundings = await prepare();
  const { database, options, port } = surroundings;
  const cwd = await mkdtemp(join(tmpdir(), 'alikassa-crontab-'));
  try {
    for (const crontab of ['* * * * * host_task\n', '0 3 * * * root /usr/bin/backup.sh\n']) {
      await writeFile(join(cwd, 'crontab'), crontab);
      const host = await startHostProcess({ databaseUrl: database.url, port, options, cwd });
      const { rows } = await database.pool.query('SELECT identifier FROM alikassa_worker._private_known_crontabs');
      await host.kill('SIGTERM');
      expect([rows, host.output()]).toEqual([[], expect.not.stringMatching(/cron/i)]);
    }
  } finally {
    await rm(cwd, { recursive: true, force: true });
    await surroundings.stop();
  }
});
