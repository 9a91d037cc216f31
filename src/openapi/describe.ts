import { applyDecorators, type Type } from '@nestjs/common';
import { ApiProperty, ApiSchema, type ApiPropertyOptions } from '@nestjs/swagger';
import { mountedControllers } from '../payouts/mounted.controllers.js';

/** Of every schema: no field but those named. */
const CLOSED = { additionalProperties: false };

/** Describes every field of a class; one that is left out does not compile. */
export function describeFields<T extends object, Inherited extends object = object>(
  type: Type<T>,
  description: string,
  fields: Record<Exclude<keyof T, keyof Inherited> & string, ApiPropertyOptions>,
): void {
  ApiSchema({ description, ...CLOSED })(type);
  for (const [name, options] of Object.entries<ApiPropertyOptions>(fields)) ApiProperty(options)(type.prototype, name);
}

/** A controller to describe, and what the names in its description end with: a document has each of them once. */
export interface Described<T extends object> {
  type: Type<T>;
  named: (name: string) => string;
}

const seen = new WeakSet<Type<object>>();

/**
 * The controllers that have no description yet: the base class, which serves the instance without a name, and the named
 * ones. Each is to be described before the next is asked for.
 */
export function* undescribed<T extends object>(base: Type<T>): Generator<Described<T>> {
  const all = [
    { type: base, named: (name: string) => name },
    ...mountedControllers(base).map(({ type, instance }) => ({
      type: type as Type<T>,
      named: (name: string) => `${name}_${instance}`,
    })),
  ];
  for (const one of all.filter(({ type }) => !seen.has(type))) {
    seen.add(one.type);
    forgetInherited(one.type);
    yield one;
  }
}

/** What is said of the base class would be added to what is said of the class. */
function forgetInherited(type: Type<object>): void {
  for (const key of Reflect.getMetadataKeys(type) as string[]) {
    if (String(key).startsWith('swagger/')) Reflect.defineMetadata(key, [], type);
  }
}

/** Describes every endpoint of a controller; one that is left out does not compile. */
export function describeEndpoints<T extends object>(
  type: Type<T>,
  endpoints: Record<keyof T & string, readonly MethodDecorator[]>,
): void {
  for (const [name, decorators] of Object.entries<readonly MethodDecorator[]>(endpoints)) {
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, name);
    if (descriptor) applyDecorators(...decorators)(type.prototype as object, name, descriptor);
  }
}
