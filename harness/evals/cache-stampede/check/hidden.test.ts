import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { Cache } = await import(String(pathToFileURL(`${process.cwd()}/src/cache.ts`)));

function origin() {
  const asked: { key: string; resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const load = (key: string) => new Promise<string>((resolve, reject) => asked.push({ key, resolve, reject }));
  return { asked, load };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('callers of one key share a load, callers of others do not', { timeout: 10_000 }, async () => {
  let now = 0;
  const { asked, load } = origin();
  const cache = new Cache(load, 10, () => now);
  const many = [cache.get('a'), cache.get('a'), cache.get('b')];
  await settle();
  many.push(cache.get('a'));
  await settle();
  assert.deepEqual(asked.map(({ key }) => key), ['a', 'b']);
  now = 5;
  asked[0].resolve('x');
  asked[1].resolve('y');
  assert.deepEqual(await Promise.all(many), ['x', 'x', 'y', 'x']);
  now = 14;
  assert.equal(await cache.get('a'), 'x');
  now = 15;
  const again = cache.get('a');
  await settle();
  assert.equal(asked.length, 3);
  asked[2].resolve('z');
  assert.equal(await again, 'z');
});

test('a failure is told to those who wait and then forgotten', { timeout: 10_000 }, async () => {
  const { asked, load } = origin();
  const cache = new Cache(load, 10, () => 0);
  const waiting = [cache.get('a'), cache.get('a')];
  await settle();
  assert.equal(asked.length, 1);
  asked[0].reject(new Error('gone'));
  for (const one of await Promise.allSettled(waiting)) assert.equal(one.status, 'rejected');
  const again = cache.get('a');
  await settle();
  assert.equal(asked.length, 2);
  asked[1].resolve('here');
  assert.equal(await again, 'here');
});
