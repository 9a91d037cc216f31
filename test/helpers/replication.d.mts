import type { QueryResultRow } from 'pg';

export function copyAsStandby(primary: { url: string; folder: string }, folder: string): Promise<void>;
export function untilCaughtUp(primaryUrl: string, standbyUrl: string): Promise<void>;
export function fallBehind(standbyUrl: string): Promise<void>;
export function promote(standbyUrl: string): Promise<void>;
export function one<Row extends QueryResultRow>(url: string, sql: string): Promise<Row>;
