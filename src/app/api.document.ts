import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { describeAliKassa } from '../openapi/index.js';
import { packageVersion } from './package.version.js';

/** The OpenAPI document of the reference application's endpoints. */
export function apiDocument(app: INestApplication): OpenAPIObject {
  describeAliKassa();
  const description =
    'Pays out through AliKassa. Never pays twice: `create` is idempotent by `order_id`, and a payout whose fate is not ' +
    'known is `unknown` until evidence or a person says. Errors are `{statusCode, message, error, code}`.';
  const config = new DocumentBuilder()
    .setTitle('Payouts')
    .setDescription(description)
    .setVersion(packageVersion())
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .addTag('payouts', 'For your own services.')
    .addTag('notifications', 'For the provider.')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'One of ALIKASSA_API_TOKENS.' })
    .build();
  const document = SwaggerModule.createDocument(app, config);
  // For the machines around it, in formats of their own.
  for (const path of ['/health', '/metrics']) delete document.paths[path];
  return document;
}

/** Swagger UI at `/docs`, the document at `/docs-json`. Open to everybody: they say what the package's source says. */
export function serveApiDocument(app: INestApplication): void {
  SwaggerModule.setup('docs', app, apiDocument(app));
}
