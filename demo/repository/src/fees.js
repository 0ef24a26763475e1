import { parseAmount, percentOf } from './money.js';

const MINIMUM_FEE = parseAmount('5.00');

const PERCENT_BY_BAND = {
  'not due': 0,
  '1-30': 2,
  '31-60': 4,
  '61-90': 6,
  'over 90': 8,
};

/** The late fee on a balance, in cents: a share of the balance, and at least the minimum once it is late. */
export function lateFee(balance, band) {
  const percent = PERCENT_BY_BAND[band.name];
  if (percent === 0 || balance === 0) {
    return 0;
  }
  return Math.max(percentOf(balance, percent), MINIMUM_FEE);
}
