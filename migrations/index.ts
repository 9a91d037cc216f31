import { CreateAlikassaTables1764000000000 } from './1764000000000-create-alikassa-tables.js';

/** Every migration of this module, in order, for the host's own DataSource. */
export const alikassaMigrations = [CreateAlikassaTables1764000000000];
