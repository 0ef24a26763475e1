import test from 'node:test';
import assert from 'node:assert/strict';
import { index, title } from '../src/page.js';

test('pages name people', async () => {
  assert.equal(await title(1), 'About Ada');
  assert.equal(await index([2, 1]), 'Grace, Ada');
});
