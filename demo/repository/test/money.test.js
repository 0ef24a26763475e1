import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCents, parseAmount, percentOf } from '../src/money.js';

test('amounts are read as whole cents', () => {
  assert.equal(parseAmount('12.5'), 1250);
  assert.equal(parseAmount('12.05'), 1205);
  assert.equal(parseAmount(7), 700);
  assert.throws(() => parseAmount('12,50'), RangeError);
});

test('percentages round half up to a cent', () => {
  assert.equal(percentOf(1050, 5), 53);
  assert.equal(percentOf(1049, 5), 52);
});

test('amounts are written with groups of thousands', () => {
  assert.equal(formatCents(123450), '1,234.50');
  assert.equal(formatCents(-705), '-7.05');
});
