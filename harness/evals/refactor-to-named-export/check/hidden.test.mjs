import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const load = (path) => import(pathToFileURL(`${process.cwd()}/src/${path}`));

test('each module has its named export and no default', async () => {
  for (const [path, names] of [['area.js', ['area']], ['Canvas.js', ['Canvas']], ['parse.js', ['UNITS', 'parse']], ['main.js', ['lazily', 'total']]]) {
    assert.deepEqual(Object.keys(await load(path)).sort(), names.sort(), path);
  }
});
