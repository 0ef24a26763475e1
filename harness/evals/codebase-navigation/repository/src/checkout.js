import { all } from './registry.js';
import { settings } from './settings.js';
import './plugins/student.js';
import './plugins/bulk.js';
import './plugins/holiday.js';
import './plugins/staff.js';
import './plugins/export.js';

export function price(order) {
  let total = order.total;
  let applied = 0;
  for (const rule of all()) {
    if (settings.disabled.includes(rule.name) || !rule.applies({ ...order, total })) continue;
    if (applied >= settings.most && rule.name !== 'staff') break;
    total = rule.price({ ...order, total });
    applied += 1;
  }
  return total;
}
