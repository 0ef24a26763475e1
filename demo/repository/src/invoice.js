import { addDays, endOfMonth } from './dates.js';
import { volumeDiscount } from './discounts.js';
import { parseAmount, percentOf, sum } from './money.js';

const TAX_PERCENT = 19;

/** The day an invoice falls due: `net 30`, or `end of month` for a day in the month it was issued. */
export function dueDate(issued, terms) {
  if (terms === 'end of month') {
    return endOfMonth(issued);
  }
  const net = /^net (\d+)$/.exec(terms);
  if (!net) {
    throw new RangeError(`unknown terms: ${terms}`);
  }
  return addDays(issued, Number(net[1]));
}

function priceLine({ description, quantity, unitPrice }) {
  const gross = quantity * parseAmount(unitPrice);
  const discount = percentOf(gross, volumeDiscount(quantity));
  return { description, quantity, gross, discount, net: gross - discount };
}

/** An invoice with its priced lines, totals and due date; nothing is paid yet. */
export function createInvoice({ number, customer, issued, terms = 'net 30', lines }) {
  if (lines.length === 0) {
    throw new RangeError(`invoice ${number} has no lines`);
  }
  const priced = lines.map(priceLine);
  const net = sum(priced.map((line) => line.net));
  const tax = percentOf(net, TAX_PERCENT);
  return {
    number,
    customer,
    issued,
    due: dueDate(issued, terms),
    lines: priced,
    net,
    tax,
    total: net + tax,
    payments: [],
  };
}

/** What is still owed on an invoice, in cents; never below zero. */
export function balanceDue(invoice) {
  const paid = sum(invoice.payments.map((payment) => payment.amount));
  return Math.max(invoice.total - paid, 0);
}

/** The invoice with one more payment. */
export function recordPayment(invoice, day, amount) {
  if (amount <= 0) {
    throw new RangeError('a payment must be more than nothing');
  }
  return { ...invoice, payments: [...invoice.payments, { day, amount }] };
}
