import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { NotificationRefusals } from '../../src/notifications/notification.refusals.js';
import { LogLines } from '../helpers/log.lines.js';

const log = new LogLines();
beforeAll(() => {
  jest.useFakeTimers();
  Logger.overrideLogger(log);
});
afterAll(() => {
  jest.useRealTimers();
  Logger.overrideLogger(['error', 'warn']);
});
beforeEach(() => (log.lines.length = 0));

const times = (count: number, work: () => void): void => void Array.from({ length: count }, work);

describe('NotificationRefusals', () => {
  it('logs the first at once, what follows within 10 s in one line, and nothing when nothing follows', () => {
    const refusals = new NotificationRefusals('default');
    refusals.count('mismatch');
    times(1_200, () => refusals.count('mismatch'));
    times(34, () => refusals.count('malformed'));
    jest.advanceTimersByTime(9_999);
    expect(log.lines).toEqual([expect.stringContaining('"1 notification was refused: 1 bad signature."')]);
    jest.advanceTimersByTime(1);
    expect(log.lines[1]).toContain('"1,234 notifications were refused: 1,200 bad signature, 34 malformed."');
    jest.advanceTimersByTime(60_000);
    expect(log.lines).toHaveLength(2);
  });

  it('logs the first after a silence at once again', () => {
    const refusals = new NotificationRefusals('default');
    refusals.count('malformed');
    jest.advanceTimersByTime(10_000);
    refusals.count('overload');
    expect(log.lines[1]).toContain('1 notification was refused: 1 not looked at, for there were too many.');
  });

  it('counts since the start, whatever was logged', () => {
    const refusals = new NotificationRefusals('default');
    times(3, () => refusals.count('mismatch'));
    jest.advanceTimersByTime(20_000);
    refusals.count('mismatch');
    expect(refusals.totals).toEqual({ mismatch: 4, malformed: 0, overload: 0 });
  });
});
