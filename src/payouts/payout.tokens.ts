/** Injection token of the resolved options. */
export const ALIKASSA_OPTIONS = Symbol('ALIKASSA_OPTIONS');
