import { register } from '../registry.js';

register('bulk', {
  order: 20,
  applies: (order) => order.items > 100,
  price: (order) => order.total * 0.8,
});
