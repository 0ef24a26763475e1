import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balanceDue, createInvoice, dueDate, recordPayment } from '../src/invoice.js';

const posters = { description: 'Posters, A2', quantity: 120, unitPrice: '1.85' };

test('an invoice adds the volume discount and the tax', () => {
  const invoice = createInvoice({ number: 'INK-1', customer: 'Harbour Books', issued: '2026-01-15', lines: [posters] });
  assert.equal(invoice.net, 21090);
  assert.equal(invoice.tax, 4007);
  assert.equal(invoice.total, 25097);
});

test('a volume discount starts at its first copy', () => {
  const discounts = [99, 100, 499, 500, 1000].map((quantity) => {
    const line = { description: 'Bookmarks', quantity, unitPrice: '1.00' };
    return createInvoice({ number: 'INK-2', customer: 'Quay Cafe', issued: '2026-01-15', lines: [line] }).lines[0].discount;
  });
  assert.deepEqual(discounts, [0, 500, 2495, 5000, 15000]);
});

test('terms decide the due date', () => {
  assert.equal(dueDate('2026-01-15', 'net 30'), '2026-02-14');
  assert.equal(dueDate('2028-02-03', 'end of month'), '2028-02-29');
  assert.throws(() => dueDate('2026-01-15', 'whenever'), /unknown terms/);
});

test('payments lower the balance, never below zero', () => {
  const invoice = createInvoice({ number: 'INK-3', customer: 'Quay Cafe', issued: '2026-01-15', lines: [posters] });
  const partly = recordPayment(invoice, '2026-02-01', 10000);
  assert.equal(balanceDue(partly), 15097);
  assert.equal(balanceDue(recordPayment(partly, '2026-02-02', 20000)), 0);
});
