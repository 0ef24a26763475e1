export { createInvoice, balanceDue, recordPayment } from './invoice.js';
export { buildStatement, renderStatement } from './statement.js';
export { formatCents, parseAmount } from './money.js';
