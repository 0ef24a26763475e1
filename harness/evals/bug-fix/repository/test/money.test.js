import test from 'node:test';
import assert from 'node:assert/strict';
import { format, split } from '../src/money.js';

test('the parts add up', () => {
  assert.deepEqual(split(100, 3), [34, 33, 33]);
  assert.deepEqual(split(9, 3), [3, 3, 3]);
});

test('cents have two places', () => {
  assert.equal(format(1205), '12.05');
  assert.equal(format(-7), '-0.07');
});
