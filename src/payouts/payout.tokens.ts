/** Injection token of the DataSource that holds our tables. */
export const ALIKASSA_DATA_SOURCE = Symbol('ALIKASSA_DATA_SOURCE');
/** Injection token of the resolved options. */
export const ALIKASSA_OPTIONS = Symbol('ALIKASSA_OPTIONS');
