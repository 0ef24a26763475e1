import { register } from '../registry.js';

register('export', {
  order: 40,
  applies: (order) => order.country !== 'DE',
  price: (order) => Math.round(order.total / 1.19),
});
