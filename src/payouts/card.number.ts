/** Cards have 13 to 19 digits (ISO/IEC 7812); anything shorter is a phone or an account. */
export function looksLikeCard(number: string): boolean {
  return /^\d{13,19}$/.test(number);
}

/** The check digit of ISO/IEC 7812-1, annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let digit = Number(digits[digits.length - 1 - i]);
    if (i % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 === 0;
}

/** First six and last four digits of a card (PCI DSS 3.4.1), last four of anything else, and never all of it. */
export function maskNumber(number: string): string {
  const shownAhead = looksLikeCard(number) ? 6 : 0;
  const shownBehind = Math.min(4, Math.floor(number.length / 2));
  const hidden = number.length - shownAhead - shownBehind;
  return number.slice(0, shownAhead) + '*'.repeat(hidden) + number.slice(number.length - shownBehind);
}
