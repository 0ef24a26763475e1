import { dayOfYear } from './year.js';

/** The week of the year, from 1, where each week begins on the year's first day. */
export function week(date) {
  return Math.floor((dayOfYear(date) - 1) / 7) + 1;
}
