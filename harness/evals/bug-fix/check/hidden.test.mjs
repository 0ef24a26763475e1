import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { split } = await import(pathToFileURL(`${process.cwd()}/src/money.js`));

test('every split adds up and is fair', () => {
  for (let total = -50; total <= 200; total += 7) {
    for (let parts = 1; parts <= 9; parts += 1) {
      const shares = split(total, parts);
      assert.equal(shares.length, parts);
      assert.equal(shares.reduce((sum, share) => sum + share, 0), total);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
    }
  }
  assert.throws(() => split(10, 0), RangeError);
});
