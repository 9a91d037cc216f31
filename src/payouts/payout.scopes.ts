import { Reflector } from '@nestjs/core';

/** What a caller of the REST endpoints may do. */
export type PayoutScope = 'payouts:create' | 'payouts:read' | 'payouts:operate';

/** Marks an endpoint with the scope it needs; the host's guard reads it with `Reflector`. */
export const RequireScope = Reflector.createDecorator<PayoutScope>();
