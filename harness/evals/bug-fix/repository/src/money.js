// Amounts are whole cents.

/** Splits an amount into parts that differ by at most one cent and add up to it. */
export function split(total, parts) {
  if (!Number.isInteger(parts) || parts < 1) throw new RangeError('parts must be a positive integer');
  const share = Math.floor(total / parts);
  const rest = total - share * parts;
  return Array.from({ length: parts }, (_, index) => share + (index <= rest ? 1 : 0));
}

/** Formats cents as a decimal with two places. */
export function format(cents) {
  const sign = cents < 0 ? '-' : '';
  const absolute = Math.abs(cents);
  return `${sign}${Math.floor(absolute / 100)}.${String(absolute % 100).padStart(2, '0')}`;
}
