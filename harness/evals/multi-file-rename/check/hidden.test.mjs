import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const root = process.cwd();
const read = (path) => readFileSync(`${root}/${path}`, 'utf8');
const names = (path) => read(path).match(/\b(fetchUser|loadPerson|prefetchUsers)\b/g) ?? [];
const count = (path, name) => names(path).filter((found) => found === name).length;

test('the new name stands everywhere, the old one nowhere', async () => {
  const main = await import(pathToFileURL(`${root}/src/index.js`));
  assert.equal(typeof main.loadPerson, 'function');
  assert.equal(main.default, main.loadPerson);
  assert.equal(main.fetchUser, undefined);
  await assert.rejects(main.loadPerson(9), /^Error: loadPerson: there is no person 9$/);
  for (const path of ['src/api.js', 'src/page.js', 'src/index.js', 'docs/api.md']) {
    assert.equal(count(path, 'fetchUser'), 0, path);
    assert.ok(count(path, 'loadPerson') > 0, path);
  }
  assert.equal(count('docs/api.md', 'loadPerson'), 2);
  assert.equal(count('src/api.js', 'prefetchUsers'), 2);
});
