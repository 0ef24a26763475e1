// The protocol's own conformance suite against the harness as an MCP client.
// The programs must be built: `cargo xtask build native`.
//
// Not run, because the harness does not claim them: `auth/*` (a token is given
// to it, it logs in nowhere) and `elicitation-*` (a server may ask nothing of
// it, and it says so when it connects).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { HARNESS } from "../acp/harness.mjs";

const require = createRequire(import.meta.url);
const PACKAGE = require.resolve("@modelcontextprotocol/conformance/package.json");
const SUITE = path.join(path.dirname(PACKAGE), "dist/index.js");

/** Runs one scenario; the suite adds the server's address to the command. */
async function scenario(name, call, revision) {
  const command = `${HARNESS} mcp ${call} --tool-profile full --mcp-url`;
  const words = [SUITE, "client", "--scenario", name, "--command", command, "--timeout", "60000"];
  if (revision) words.push("--spec-version", revision);
  const ran = promisify(execFile)(process.execPath, words, { env: { PATH: process.env.PATH } });
  return ran.catch((error) => assert.fail(`${error.stdout}\n${error.stderr}`));
}

test("it initialises as the protocol says", () => scenario("initialize", ""));

test("it lists and calls a tool", () => scenario("tools_call", `sam__add_numbers '{"a":5,"b":3}'`));

test("it comes back to a stream that broke, when it was told to, from where it was", () =>
  scenario("sse-retry", "sam__test_reconnection"));
