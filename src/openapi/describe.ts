import { applyDecorators, type Type } from '@nestjs/common';
import { ApiProperty, ApiSchema, type ApiPropertyOptions } from '@nestjs/swagger';

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
