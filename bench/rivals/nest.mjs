import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';

/** As many connections as the DataSource of the application under test has by default. */
const CONNECTIONS = 10;

/** What the bench has told this process; it ends with the bench. */
export function readSetup() {
  process.on('disconnect', () => process.exit(0));
  return JSON.parse(process.env.ALIKASSA_BENCH ?? '{}');
}

export function pool(connectionString, max = CONNECTIONS) {
  return new pg.Pool({ connectionString, max });
}

/** Declares an endpoint: what a decorator over the method and decorators of its parameters do in TypeScript. */
export function endpoint(controller, method, route, ...parameters) {
  route(controller.prototype, method, Object.getOwnPropertyDescriptor(controller.prototype, method));
  parameters.forEach((parameter, index) => parameter(controller.prototype, method, index));
}

/** Serves one controller with Nest on Express, as the application under test is served. */
export async function serve(controller, port) {
  Controller()(controller);
  class BareModule {}
  Module({ controllers: [controller] })(BareModule);
  const app = await NestFactory.create(BareModule, { logger: ['error', 'warn'] });
  await app.listen(port, '127.0.0.1');
  process.send('listening');
}
