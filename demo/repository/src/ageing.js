import { daysBetween } from './dates.js';

/** Bands by days late. The last day of a band belongs to it. */
export const BANDS = [
  { name: 'not due', lastDay: 0 },
  { name: '1-30', lastDay: 30 },
  { name: '31-60', lastDay: 60 },
  { name: '61-90', lastDay: 90 },
  { name: 'over 90', lastDay: Infinity },
];

/** How many days an invoice is late on `today`; zero when it is not due yet. */
export function daysLate(invoice, today) {
  return Math.max(daysBetween(invoice.due, today), 0);
}

/** The band for a number of days late. */
export function bandFor(days) {
  if (days === 0) {
    return BANDS[0];
  }
  return BANDS.find((band) => days < band.lastDay);
}
