/** Money of the simulator: whole cents in a bigint, so that no sum is ever rounded by a float. */

/** @param amount a decimal with at most two places. @throws RangeError anything else. */
export function toCents(amount: string): bigint {
  const match = /^([0-9]+)(?:\.([0-9]{1,2}))?$/.exec(amount);
  if (!match) throw new RangeError('an amount is a decimal with at most two places');
  return BigInt(match[1] ?? '0') * 100n + BigInt((match[2] ?? '').padEnd(2, '0'));
}

/** "1000.44" */
export function fromCents(cents: bigint): string {
  const sign = cents < 0n ? '-' : '';
  const digits = (cents < 0n ? -cents : cents).toString().padStart(3, '0');
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** "93.84000000", as balances are written (PROVIDER.md, Account). */
export function fromCentsLong(cents: bigint): string {
  return `${fromCents(cents)}000000`;
}

/** The given share in percent, rounded down to a cent. */
export function percent(cents: bigint, share: bigint): bigint {
  return (cents * share) / 100n;
}
