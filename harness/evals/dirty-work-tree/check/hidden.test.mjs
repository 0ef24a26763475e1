import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { slug } = await import(pathToFileURL(`${process.cwd()}/src/slug.js`));

test('letters with marks keep their letter', () => {
  assert.equal(slug('Über uns'), 'uber-uns');
  assert.equal(slug('  Crème brûlée!  '), 'creme-brulee');
  assert.equal(slug('plain text 1'), 'plain-text-1');
});
