import { runInNewContext } from 'node:vm';
import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { DatabaseRefusedError, DatabaseUnavailableError, StateConflictError } from '../../src/alikassa.errors.js';
import {
  isDatabaseError,
  isRefusedStatement,
  isTransientDatabaseError,
  mappedDatabaseError,
} from '../../src/payouts/database.errors.js';

const withCode = (code: string, message = 'the text of it'): Error => Object.assign(new Error(message), { code });
const failed = (code: string): Error =>
  new QueryFailedError('INSERT INTO t VALUES ($1)', ['4111111111111111'], withCode(code));

describe('a fault of the database', () => {
  it.each(['57P01', '57P02', '57P03', '53300', '53100', '40001', '40P01', '57014', '55P03', '25P03', '25P04', '25006'])(
    '%s may be gone a moment later, as the driver gives it and as TypeORM does',
    (code) => {
      expect([withCode(code), failed(code)].map(isTransientDatabaseError)).toEqual([true, true]);
    },
  );

  it.each(['23505', '42P01', '28P01', '3D000', '22P02'])('%s stays', (code) => {
    expect([withCode(code), failed(code)].map(isTransientDatabaseError)).toEqual([false, false]);
  });

  it.each([
    withCode('ECONNREFUSED'),
    withCode('ECONNRESET'),
    withCode('ENETUNREACH'),
    new Error('Connection terminated unexpectedly'),
    new Error('timeout exceeded when trying to connect'),
    new Error('Client has encountered a connection error and is not queryable'),
    new Error('Query read timeout'),
    new QueryRunnerAlreadyReleasedError(),
    runInNewContext(`Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })`) as Error,
  ])('of the connection may be gone a moment later: %s', (error) => {
    expect(isTransientDatabaseError(error)).toBe(true);
  });

  it('is of the statement, or of the session', () => {
    const refused = ['23505', '22P02', '40P01', '55P03', '57014', 'P0001'].map((code) => withCode(code));
    const lost = ['08006', '25P03', '28P01', '3D000', '53300', '57P01', 'ECONNRESET', 'EPIPE'].map((code) =>
      withCode(code),
    );
    expect(refused.map(isRefusedStatement)).toEqual(refused.map(() => true));
    expect([...lost, new Error('Connection terminated'), undefined].map(isRefusedStatement)).not.toContain(true);
    expect(isRefusedStatement(failed('23505'))).toBe(true);
  });

  it('is told from a fault of ours', () => {
    const refused = Object.assign(withCode('28P01'), { severity: 'FATAL' });
    expect([refused, failed('23505'), withCode('ECONNREFUSED')].map(isDatabaseError)).toEqual([true, true, true]);
    expect([new TypeError('decide() has a fault'), undefined, 'text'].map(isDatabaseError)).toEqual([
      false,
      false,
      false,
    ]);
  });

  it.each(['42P10', '42703', '42P01', '42501', '22P05', '23514', '23505', '3D000', '28P01', '0A000', 'P0001', 'XX000'])(
    '%s is never to be repeated',
    (code) => {
      const mapped = [withCode(code), failed(code)].map(mappedDatabaseError);
      for (const error of mapped) {
        expect(error).toBeInstanceOf(DatabaseRefusedError);
        expect(error).toMatchObject({ code: 'database_refused', httpStatus: 500 });
        expect(error.message).toContain(`(${code})`);
        expect(error.message).not.toMatch(/repeat the call/);
      }
    },
  );

  it.each(['40001', '25006', '25P02', '53100', '57014', 'ECONNRESET', 'EPIPE', ''])(
    '"%s" is to be repeated',
    (code) => {
      const mapped = mappedDatabaseError(withCode(code));
      expect(mapped).toBeInstanceOf(DatabaseUnavailableError);
      expect(mapped).toMatchObject({ code: 'database_unavailable', httpStatus: 503 });
    },
  );

  it('leaves as its state and what to do, without statement and parameters', () => {
    const mapped = mappedDatabaseError(failed('23505'));
    expect(mapped).toBeInstanceOf(DatabaseRefusedError);
    expect(mapped.message).toMatch(
      /^The database refused the statement \(23505\), and nothing was written: a rule of the table .*Repeating the call does not help/,
    );
    // Without the folder's name, which may hold any digits.
    const stack = mapped.stack?.replaceAll(process.cwd(), '');
    expect(JSON.stringify([Object.entries(mapped), stack])).not.toMatch(/4111|INSERT/);
    const ours = new StateConflictError('as it is');
    expect(mappedDatabaseError(ours)).toBe(ours);
  });
});
