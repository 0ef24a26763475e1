import test from 'node:test';
import assert from 'node:assert/strict';
import { lazily, total } from '../src/main.js';

test('areas are added up', async () => {
  assert.equal(total(['box 2 3', 'circle 1']), '9.1 cm²');
  assert.equal((await lazily())({ kind: 'box', width: 2, height: 2 }), 4);
});
