// The server's command line: one mistake, one message.

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { parseArguments, UsageError } from "./options.mjs";

const parse = (words, environment = {}) => parseArguments(words, "/repository", environment);

test("defaults lie under the repository", () => {
  const options = parse([]);
  assert.equal(options.port, 0);
  assert.equal(options.stateDir, "/repository/.sam/server");
  assert.equal(options.workerDir, "/repository/dist/worker");
  assert.equal(options.webDir, "/repository/dist/web");
  assert.deepEqual(options.settings, {});
});

test("values may follow after a space or an equals sign", () => {
  assert.equal(parse(["--port", "80"]).port, 80);
  assert.equal(parse(["--port=80"]).port, 80);
  assert.equal(parse(["--web-dir", "none"]).webDir, null);
  assert.equal(parse(["--exit-with-stdin"]).exitWithStdin, true);
});

test("--var wins over the file, the file over the environment", () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "sam-options-")), "env");
  writeFileSync(file, "# comment\n\nSAM_MODEL=file\nSAM_MODEL_URL=http://a/v1?x=y\n");
  const environment = { SAM_MODEL: "environment", SAM_MODEL_KEY: "key", PATH: "never passed" };
  const { settings } = parse(["--env-file", file, "--var", "SAM_MODEL=var"], environment);
  assert.deepEqual(settings, { SAM_MODEL: "var", SAM_MODEL_URL: "http://a/v1?x=y", SAM_MODEL_KEY: "key" });
});

for (const words of [
  ["--prot", "1"],
  ["--port"],
  ["--port", "many"],
  ["--port", "65536"],
  ["--var", "no-equals"],
  ["--env-file", "/does/not/exist"],
  ["stray"],
]) {
  test(`refused: ${words.join(" ")}`, () => assert.throws(() => parse(words), UsageError));
}
