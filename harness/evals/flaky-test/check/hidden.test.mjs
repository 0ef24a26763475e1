import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { run } = await import(pathToFileURL(`${process.cwd()}/src/pool.js`));

/** Jobs that end when they are told to. */
function held(count) {
  const ends = [];
  let running = 0;
  let most = 0;
  const jobs = Array.from({ length: count }, (_, index) => () => new Promise((resolve) => {
    running += 1;
    most = Math.max(most, running);
    ends[index] = () => { running -= 1; resolve(index); };
  }));
  return { jobs, ends, most: () => most };
}

test('in whatever order jobs end, results are in the order of the jobs', async () => {
  const { jobs, ends, most } = held(4);
  const done = run(jobs, 2);
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  for (const index of [1, 2, 3, 0]) { ends[index](); await settle(); }
  assert.deepEqual(await done, [0, 1, 2, 3]);
  assert.equal(most(), 2);
});

test('no jobs, and one that fails', async () => {
  assert.deepEqual(await run([], 3), []);
  await assert.rejects(run([async () => { throw new Error('no'); }], 1), /no/);
});
