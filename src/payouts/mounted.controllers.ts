import { Inject, type Type } from '@nestjs/common';
import { DEFAULT_INSTANCE } from '../alikassa.options.js';
import { getAliKassaToken } from './payout.tokens.js';

/** A controller of a named instance. */
export interface MountedController {
  instance: string;
  type: Type<object>;
  /** What it extends. */
  base: Type<object>;
}

const named: MountedController[] = [];

/** The controllers of named instances that were mounted in this process. */
export function mountedControllers(base: Type<object>): MountedController[] {
  return named.filter((one) => one.base === base);
}

/**
 * Gives an instance's controller what is its own: the instance's providers, and methods that can be described apart from
 * those of the other instances.
 * @param parts what its constructor takes.
 */
export function mounted<T extends object>(
  type: Type<T>,
  base: Type<T>,
  parts: Type<object>[],
  instance = DEFAULT_INSTANCE,
): Type<T> {
  if (instance === DEFAULT_INSTANCE) return type;
  parts.forEach((part, index) => Inject(getAliKassaToken(part, instance))(type, undefined, index));
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(base.prototype))) {
    if (name === 'constructor' || typeof value !== 'function') continue;
    Object.defineProperty(type.prototype, name, { value: copyOf(value as Method), configurable: true, writable: true });
  }
  named.push({ instance, type, base });
  return type;
}

type Method = (...parameters: unknown[]) => unknown;

/** Calls the method; has its routes and scopes, and no description: that is the instance's own. */
function copyOf(method: Method): Method {
  const copy: Method = function (this: unknown, ...parameters) {
    return method.apply(this, parameters);
  };
  for (const key of Reflect.getMetadataKeys(method) as string[]) {
    if (!String(key).startsWith('swagger/')) Reflect.defineMetadata(key, Reflect.getMetadata(key, method), copy);
  }
  // What it takes is looked up by its name.
  return Object.defineProperty(copy, 'name', { value: method.name });
}
