import { week } from './week.js';

export function report(dates) {
  return dates.map((date) => `${date.year}-W${String(week(date)).padStart(2, '0')}`).join(' ');
}
