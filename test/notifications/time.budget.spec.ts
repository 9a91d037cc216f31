import { TimeBudget } from '../../src/notifications/time.budget.js';

describe('TimeBudget of a quarter of the time, 100 ms at once', () => {
  it('is spent once as much was spent at once', () => {
    const budget = new TimeBudget(0.25, 100);
    budget.spend(99, 0);
    expect(budget.isSpent(0)).toBe(false);
    budget.spend(1, 0);
    expect(budget.isSpent(0)).toBe(true);
  });

  it('comes back at its share of the time that passes', () => {
    const budget = new TimeBudget(0.25, 100);
    budget.spend(110, 0);
    expect(budget.isSpent(40)).toBe(true);
    expect(budget.isSpent(41)).toBe(false);
  });

  it('saves nothing up for later', () => {
    const budget = new TimeBudget(0.25, 100);
    expect(budget.isSpent(1_000_000)).toBe(false);
    budget.spend(100, 1_000_000);
    expect(budget.isSpent(1_000_000)).toBe(true);
  });
});
