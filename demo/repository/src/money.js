/**
 * Amounts of money as whole cents, so that sums are exact.
 */

/** Reads `"12.50"`, `"12"` or `12.5` as cents. */
export function parseAmount(text) {
  const match = /^(\d+)(?:\.(\d{1,2}))?$/.exec(String(text).trim());
  if (!match) {
    throw new RangeError(`not an amount: ${text}`);
  }
  const [, whole, fraction = ''] = match;
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0'));
}

/** A percentage of an amount, rounded half up to a whole cent. */
export function percentOf(cents, percent) {
  return Math.round((cents * percent) / 100);
}

/** Adds up amounts. */
export function sum(amounts) {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/** Writes cents as `1,234.50`. */
export function formatCents(cents) {
  const sign = cents < 0 ? '-' : '';
  const whole = String(Math.floor(Math.abs(cents) / 100));
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${sign}${grouped}.${String(Math.abs(cents) % 100).padStart(2, '0')}`;
}
