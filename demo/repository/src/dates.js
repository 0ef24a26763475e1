/**
 * Calendar days as `YYYY-MM-DD` text, counted in UTC so that no time zone moves a due date.
 */

const MILLISECONDS_PER_DAY = 24 * 60 * 60 * 1000;

function toTimestamp(day) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) {
    throw new RangeError(`not a day: ${day}`);
  }
  return Date.parse(`${day}T00:00:00Z`);
}

/** The day that lies `count` days after `day`. */
export function addDays(day, count) {
  const moved = new Date(toTimestamp(day) + count * MILLISECONDS_PER_DAY);
  return moved.toISOString().slice(0, 10);
}

/** The last day of the month of `day`. */
export function endOfMonth(day) {
  const [year, month] = day.split('-').map(Number);
  return new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10);
}

/** Whole days from `start` to `end`; negative when `end` comes first. */
export function daysBetween(start, end) {
  return Math.round((toTimestamp(end) - toTimestamp(start)) / MILLISECONDS_PER_DAY);
}
