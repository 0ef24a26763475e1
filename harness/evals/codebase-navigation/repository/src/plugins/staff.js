import { register } from '../registry.js';

register('staff', {
  order: 5,
  applies: (order) => order.customer === 'staff',
  price: (order) => Math.round(order.total * 0.6),
});
