import { Logger, type LogLevel } from '@nestjs/common';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AliKassaErrorFilter } from '../payouts/error.filter.js';
import type { AppConfig } from './app.config.js';
import { AppLogger } from './app.logger.js';
import { AppModule } from './app.module.js';
import { optionalModules } from './optional.modules.js';

const BODY_LIMIT = '100kb';
const LEVELS: LogLevel[] = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'];

/**
 * Builds the reference application; the caller makes it listen and closes it.
 * @throws whatever stops the start; nothing ends the process here.
 */
export async function createApp(config: AppConfig): Promise<NestExpressApplication> {
  const logger = new AppLogger({
    logLevels: LEVELS.slice(0, LEVELS.indexOf(config.logLevel) + 1),
    json: config.logFormat === 'json',
  });
  Logger.overrideLogger(logger);
  const app = await NestFactory.create<NestExpressApplication>(AppModule.forConfig(config, await optionalModules()), {
    abortOnError: false,
    bodyParser: false,
    // For what no HTTP/1 server of Node's has taken: the module reads bodies as they were sent, or not at all.
    rawBody: true,
    logger,
  });
  app.useBodyParser('json', { limit: BODY_LIMIT });
  // One production integration receives notifications as a POST form (PROVIDER.md, "Notifications").
  app.useBodyParser('urlencoded', { limit: BODY_LIMIT, extended: false });
  app.useGlobalFilters(new AliKassaErrorFilter(app.get(HttpAdapterHost)));
  app.disable('x-powered-by');
  await serveApiDocs(app);
  return app;
}

/** `/docs` and `/docs-json`, where the optional `@nestjs/swagger` is installed. */
async function serveApiDocs(app: NestExpressApplication): Promise<void> {
  try {
    (await import('./api.document.js')).serveApiDocument(app);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    new Logger('AliKassa').log('There is no /docs: npm install @nestjs/swagger to have it.');
  }
}
