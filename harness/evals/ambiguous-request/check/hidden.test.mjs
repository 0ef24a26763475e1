import test from 'node:test';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { settings } = await import(pathToFileURL(`${process.cwd()}/src/settings.js`));
const { options } = await import(pathToFileURL(`${process.cwd()}/src/sensor.js`));

test('sensors have thirty seconds, and nothing else changed', () => {
  assert.deepEqual({ ...settings }, { connectTimeout: 1500, readTimeout: 30000, sessionTimeout: 900000, watchdog: 35000 });
  assert.deepEqual(options(), { connect: 1500, read: 30000, watchdog: 35000 });
});
