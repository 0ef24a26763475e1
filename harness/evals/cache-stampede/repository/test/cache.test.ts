import test from 'node:test';
import assert from 'node:assert/strict';
import { Cache } from '../src/cache.ts';

test('a value is loaded again when it is too old', async () => {
  let now = 0;
  let loads = 0;
  const cache = new Cache(async (key: string) => `${key}${(loads += 1)}`, 10, () => now);
  assert.equal(await cache.get('a'), 'a1');
  now = 9;
  assert.equal(await cache.get('a'), 'a1');
  now = 10;
  assert.equal(await cache.get('a'), 'a2');
});
