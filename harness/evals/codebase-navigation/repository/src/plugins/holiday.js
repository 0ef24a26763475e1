import { register } from '../registry.js';

register('holiday', {
  order: 10,
  applies: (order) => order.month === 12,
  price: (order) => order.total - 500,
});
