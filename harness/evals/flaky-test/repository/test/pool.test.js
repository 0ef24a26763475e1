import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../src/pool.js';

test('results come in the order of the jobs', async () => {
  const jobs = [1, 2, 3].map((number) => async () => {
    if (Math.random() < 0.1) await pause(5);
    return number;
  });
  assert.deepEqual(await run(jobs, 2), [1, 2, 3]);
});
