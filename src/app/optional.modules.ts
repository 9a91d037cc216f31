import { Logger, type Type } from '@nestjs/common';

/** What is served if its packages are installed; payouts need none of it. */
const OPTIONAL: { path: string; packages: string; load: () => Promise<Type> }[] = [
  {
    path: '/health',
    packages: '@nestjs/terminus',
    load: async () => (await import('./health.module.js')).HealthModule,
  },
  {
    path: '/metrics',
    packages: '@opentelemetry/sdk-metrics @opentelemetry/exporter-prometheus',
    load: async () => (await import('./metrics.module.js')).MetricsModule,
  },
];

/** The modules whose packages are there. */
export async function optionalModules(): Promise<Type[]> {
  const found: Type[] = [];
  for (const { path, packages, load } of OPTIONAL) {
    try {
      found.push(await load());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
      new Logger('AliKassa').log(`GET ${path} is not served; npm install ${packages}`);
    }
  }
  return found;
}
