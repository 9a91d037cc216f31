import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  key: string;
  cert: string;
}

/**
 * A new self-signed certificate, PEM: its own authority.
 * @param name its subjectAltName. @param days how long it is valid; -1 has expired.
 */
export function certificate(name = 'IP:127.0.0.1', days = 1): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'alikassa-certificate-'));
  const file = (base: string): string => join(folder, base);
  // Each has a subject of its own: authorities are looked up by it.
  const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { stdio: 'ignore' });
  try {
    writeFileSync(file('extensions'), `subjectAltName=${name}`);
    openssl(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${randomUUID()}`,
      '-keyout',
      file('key'),
      '-out',
      file('request'),
    );
    const dated = ['-days', String(days), '-extfile', file('extensions')];
    openssl('x509', '-req', '-in', file('request'), '-signkey', file('key'), ...dated, '-out', file('cert'));
    return { key: readFileSync(file('key'), 'utf8'), cert: readFileSync(file('cert'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
