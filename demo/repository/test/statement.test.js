import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildStatement, createInvoice, recordPayment, renderStatement } from '../src/index.js';

/** An invoice over 119.00, due on `due`. */
function invoiceDue(number, due, customer = 'Harbour Books') {
  const lines = [{ description: 'Flyers', quantity: 50, unitPrice: '2.00' }];
  return createInvoice({ number, customer, issued: due, terms: 'net 0', lines });
}

test('a statement lists open invoices of one customer, oldest first', () => {
  const settled = recordPayment(invoiceDue('INK-4', '2026-02-20'), '2026-02-21', 11900);
  const statement = buildStatement(
    'Harbour Books',
    [invoiceDue('INK-5', '2026-03-05'), invoiceDue('INK-6', '2026-01-20'), invoiceDue('INK-7', '2026-03-01', 'Quay Cafe'), settled],
    '2026-03-10',
  );
  assert.deepEqual(statement.entries.map((entry) => entry.number), ['INK-6', 'INK-5']);
  assert.equal(statement.balance, 23800);
  assert.equal(statement.owed, 23800 + 500 + 500);
});

test('the last day of a band belongs to it', () => {
  const bandOn = (day) => buildStatement('Harbour Books', [invoiceDue('INK-8', '2026-03-01')], day).entries[0].band;
  assert.equal(bandOn('2026-03-01'), 'not due');
  assert.equal(bandOn('2026-03-02'), '1-30');
  assert.equal(bandOn('2026-03-31'), '1-30');
  assert.equal(bandOn('2026-04-01'), '31-60');
  assert.equal(bandOn('2026-05-30'), '61-90');
});

test('a statement prints one line for each invoice and the total', () => {
  const text = renderStatement(buildStatement('Harbour Books', [invoiceDue('INK-9', '2026-03-01')], '2026-05-10'));
  assert.equal(
    text,
    [
      'Statement for Harbour Books, 2026-05-10',
      'INK-9       2026-03-01  61-90           119.00',
      'Late fees: 7.14',
      'Total owed: 126.14',
    ].join('\n'),
  );
});
