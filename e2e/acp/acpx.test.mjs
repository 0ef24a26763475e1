// The harness driven by acpx, a command-line client of the Agent Client
// Protocol. The programs must be built: `cargo xtask build native`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { HARNESS, environment, scratch } from "./harness.mjs";
import { calls, model, says } from "./model.mjs";

const require = createRequire(import.meta.url);
const ACPX = path.join(path.dirname(require.resolve("acpx/package.json")), "dist/cli.js");

/** acpx with the harness as its agent; answers its stdout. */
function acpx(cwd, env) {
  const common = [ACPX, "--agent", `${HARNESS} acp`, "--cwd", cwd, "--non-interactive-permissions", "deny"];
  return async (...words) => {
    const run = promisify(execFile)(process.execPath, [...common, ...words], { cwd, env });
    return (await run).stdout;
  };
}

test("one prompt, with files and permissions through the client", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "write_file", { path: "a.txt", content: "one\n" }]),
    calls(["t2", "bash", { command: "cat a.txt" }]),
    says("It says one."),
  ]);
  t.after(scripted.stop);
  const run = acpx(cwd, environment(scripted, state));
  const out = await run("--approve-all", "--format", "quiet", "exec", "write it");
  assert.equal(out.trim(), "It says one.");
  assert.equal(readFileSync(path.join(cwd, "a.txt"), "utf8"), "one\n");
  const result = scripted.requests.at(-1).messages.at(-1).content;
  assert.match(result, /^one\n/);
});

test("a client that denies is obeyed", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "write_file", { path: "a.txt", content: "one\n" }]),
    says("I may not."),
  ]);
  t.after(scripted.stop);
  const run = acpx(cwd, environment(scripted, state));
  const out = await run("--deny-all", "--format", "quiet", "exec", "write it").catch((error) => error.stdout);
  assert.match(out, /I may not\./);
  assert.ok(!existsSync(path.join(cwd, "a.txt")));
});

test("a session outlives its processes", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([says("Noted."), says("You said 17.")]);
  t.after(scripted.stop);
  const run = acpx(cwd, environment(scripted, state));
  await run("sessions", "new");
  const prompt = (text) => run("--ttl", "1", "--format", "quiet", text);
  assert.equal((await prompt("Remember 17.")).trim(), "Noted.");
  assert.equal((await prompt("Which number?")).trim(), "You said 17.");
  const heard = scripted.requests.at(-1).messages.filter((message) => message.role === "user");
  assert.deepEqual(heard.map((message) => message.content), ["Remember 17.", "Which number?"]);
  const listed = await run("--format", "json", "sessions", "list");
  assert.match(listed, /har_[0-9a-z]{26}/);
  assert.match(listed, /Remember 17\./);
  await run("set-mode", "read-only");
  await run("sessions", "close");
});
