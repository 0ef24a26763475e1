import test from 'node:test';
import assert from 'node:assert/strict';
import { report } from '../src/report.js';

test('weeks of ordinary years', () => {
  assert.equal(report([{ year: 2023, month: 1, day: 8 }, { year: 2024, month: 3, day: 1 }]), '2023-W02 2024-W09');
});

test('weeks in years of centuries', () => {
  assert.equal(report([{ year: 1900, month: 12, day: 31 }, { year: 2400, month: 12, day: 30 }]), '1900-W53 2400-W53');
});
