import { readFileSync } from 'node:fs';

interface LockedPackage {
  integrity?: string;
  link?: boolean;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
}

interface Manifest {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };
const locked = Object.entries(packages).filter(([path]) => path !== '');

describe('what a host installs', () => {
  it('is locked with the digest of every package', () => {
    expect(locked.length).toBeGreaterThan(50);
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  });

  it('runs no script when it is installed', () => {
    const installed = locked.filter(([, { dev, devOptional }]) => !dev && !devOptional);
    expect(installed.length).toBeGreaterThan(20);
    expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual([]);
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
      expect(manifest.scripts).not.toHaveProperty(hook);
    }
  });

  it('has a reason for every package in the README', () => {
    const table = read('README.md').split('## What it is built on, and why')[1] ?? '';
    for (const name of [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)]) {
      const short = name.replace('@nestjs/', '');
      expect({ name, isNamed: table.includes(`\`${name}\``) || table.includes(`\`${short}\``) }).toEqual({
        name,
        isNamed: true,
      });
    }
  });
});
