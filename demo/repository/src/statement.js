import { BANDS, bandFor, daysLate } from './ageing.js';
import { lateFee } from './fees.js';
import { balanceDue } from './invoice.js';
import { formatCents, sum } from './money.js';

/**
 * Everything `customer` owes on `today`: open invoices, oldest first, with their band and late fee, and the totals
 * of each band.
 */
export function buildStatement(customer, invoices, today) {
  const entries = invoices
    .filter((invoice) => invoice.customer === customer && balanceDue(invoice) > 0)
    .sort((a, b) => a.due.localeCompare(b.due))
    .map((invoice) => {
      const late = daysLate(invoice, today);
      const band = bandFor(late);
      const balance = balanceDue(invoice);
      return { number: invoice.number, due: invoice.due, late, band: band.name, balance, fee: lateFee(balance, band) };
    });

  const bands = Object.fromEntries(BANDS.map(({ name }) => [name, 0]));
  for (const entry of entries) {
    bands[entry.band] += entry.balance;
  }

  const balance = sum(entries.map((entry) => entry.balance));
  const fees = sum(entries.map((entry) => entry.fee));
  return { customer, today, entries, bands, balance, fees, owed: balance + fees };
}

/** A statement as lines of text, for a letter. */
export function renderStatement(statement) {
  const rows = statement.entries.map((entry) =>
    [entry.number.padEnd(10), entry.due, entry.band.padEnd(8), formatCents(entry.balance).padStart(12)].join('  '),
  );
  return [
    `Statement for ${statement.customer}, ${statement.today}`,
    ...rows,
    `Late fees: ${formatCents(statement.fees)}`,
    `Total owed: ${formatCents(statement.owed)}`,
  ].join('\n');
}
