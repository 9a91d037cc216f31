import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigurationError } from '../alikassa.errors.js';

/** `secret`: private keys and passphrases. `public`: keys and certificates that others may know but not replace. */
export type KeyFileKind = 'secret' | 'public';

/**
 * Permissions that users outside the file's owner and group must not have. The group may read: so Kubernetes hands
 * secrets to a user other than root (`fsGroup`). Whoever can change the notification key decides what is believed.
 */
const REFUSED: Readonly<Record<KeyFileKind, { bits: number; deed: string }>> = {
  secret: { bits: 0o006, deed: 'read or change' },
  public: { bits: 0o002, deed: 'change' },
};

/**
 * The text of a key file that is not open to every user of the machine. Windows has no such modes.
 * @throws ConfigurationError that names the file, its mode and the mend.
 */
export function readKeyFile(setting: string, path: string, kind: KeyFileKind): string {
  let file: number | undefined;
  try {
    // The mode is that of the very file that is read.
    file = openSync(path, 'r');
    checkMode(setting, path, fstatSync(file).mode & 0o777, kind);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConfigurationError(setting, `the file ${path} cannot be read (${code})`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function checkMode(setting: string, path: string, mode: number, kind: KeyFileKind): void {
  const { bits, deed } = REFUSED[kind];
  if (process.platform === 'win32' || (mode & bits) === 0) return;
  throw new ConfigurationError(
    setting,
    `every user of this machine may ${deed} the file ${path} (mode ${mode.toString(8)}); run chmod 600 ${path}`,
  );
}
