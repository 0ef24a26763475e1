#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { buildStatement, createInvoice, renderStatement } from '../src/index.js';

const [file, today] = process.argv.slice(2);
if (!file || !today) {
  console.error('usage: statement.js <invoices.json> <YYYY-MM-DD>');
  process.exit(2);
}

const { customer, invoices } = JSON.parse(await readFile(file, 'utf8'));
const created = invoices.map((invoice) => createInvoice({ customer, ...invoice }));
console.log(renderStatement(buildStatement(customer, created, today)));
