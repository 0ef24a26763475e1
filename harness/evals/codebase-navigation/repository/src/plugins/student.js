import { register } from '../registry.js';

register('student', {
  order: 30,
  applies: (order) => order.customer === 'student',
  price: (order) => order.total * 0.9,
});
