import { isLeap } from './leap.js';

const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The day of the year, from 1. */
export function dayOfYear({ year, month, day }) {
  const before = LENGTHS.slice(0, month - 1).reduce((sum, days) => sum + days, 0);
  return before + day + (month > 2 && isLeap(year) ? 1 : 0);
}
