// The shell libraries: what is missing is named with what to do, and what was
// started ends with the script that started it, however it ends.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const LIB = fileURLToPath(new URL(".", import.meta.url));
const ROOT = path.resolve(LIB, "../..");
const scratch = mkdtempSync(path.join(tmpdir(), "sam-lib-test-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const which = (name) => execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
const BASH = which("bash");

/** Runs a script with the libraries sourced and only these programs on the PATH. */
function run(script, programs, environment = {}) {
  const bin = mkdtempSync(path.join(scratch, "bin-"));
  for (const name of programs) symlinkSync(which(name), path.join(bin, name));
  const text = `set -euo pipefail; ROOT='${ROOT}'; . '${LIB}say.sh'; . '${LIB}bootstrap.sh'; . '${LIB}processes.sh'; ${script}`;
  return spawnSync(BASH, ["-c", text], { encoding: "utf8", env: { PATH: bin, HOME: scratch, ...environment } });
}

const BASICS = ["df", "awk", "sed", "tr", "grep", "cat", "id"];
const ALL = [...BASICS, "git", "cc", "node", "npm"];

for (const [missing, says] of [
  ["git", /git is missing/],
  ["cc", /C compiler \(cc\) is missing/],
  ["node", /Node\.js is missing/],
  ["npm", /npm is missing/],
]) {
  test(`without ${missing} it says so and what to do`, () => {
    const result = run("require_programs", ALL.filter((name) => name !== missing));
    assert.equal(result.status, 1);
    assert.match(result.stderr, says);
    assert.match(result.stderr, /[Ii]nstall|Get it from/);
  });
}

test("with everything there it says nothing", () => {
  const result = run("require_programs", ALL);
  assert.equal(result.stderr, "");
  assert.equal(result.status, 0);
});

test("without rustup it says where to get it", () => {
  const result = run("require_rust", BASICS);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /rustup is missing[\s\S]*https:\/\/rustup\.rs/);
});

test("the toolchain file is read as rustup reads it", () => {
  const result = run("toolchain_value channel; echo; toolchain_value components; echo; toolchain_value targets", BASICS);
  assert.match(result.stdout, /^\d+\.\d+\.\d+\n+rustfmt,clippy\n+wasm32-unknown-unknown/);
});

test("too little disk is refused before anything begins", () => {
  const result = run("require_disk 1000000000000 'the first build'; echo begun", BASICS);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /Not enough disk space.*the first build needs about/);
  assert.equal(result.stdout, "");
});

test("without Chromium the tests say what to do", () => {
  // Root would install it.
  const result = run("id() { echo 1000; }; require_chromium", BASICS);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /Chromium is missing[\s\S]*SAM_CHROMIUM/);
});

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch (error) {
    return error.code === "ENOENT" && process.platform !== "linux";
  }
};

async function until(what, condition) {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A script that starts two programs, one of which is deaf, and says their pids. */
async function startTwo(ending) {
  const logs = path.join(scratch, `logs-${ending.replace(/\W/g, "")}`);
  mkdirSync(logs);
  const script = `set -euo pipefail; . '${LIB}say.sh'; . '${LIB}processes.sh'
processes_begin '${logs}'; trap processes_end EXIT; trap 'exit 143' TERM
start_process polite sleep 300; FIRST=$PID
start_process deaf bash -c 'trap "" TERM; echo ready; while :; do sleep 1; done'
wait_for_line deaf $PID ready 10 >/dev/null
echo $FIRST $PID
${ending}`;
  const child = spawn(BASH, ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, pids: line.split(" ").map(Number) };
}

for (const [how, ending, signal] of [
  ["by itself", "true", null],
  ["by a failure", "false", null],
  ["by SIGTERM", "while :; do sleep 0.1; done", "SIGTERM"],
  ["by SIGKILL", "while :; do sleep 0.1; done", "SIGKILL"],
]) {
  test(`nothing runs after a script that ends ${how}`, async () => {
    const { child, pids } = await startTwo(`${ending} # ${how}`);
    if (signal) child.kill(signal);
    await until("both are gone", () => !pids.some(isAlive));
  });
}

test("the demo refuses what it does not understand", () => {
  for (const [words, says] of [
    [["--nonsense"], /Unknown option/],
    [["--port", "many"], /must be a number/],
    [["--agent", "nobody"], /sam-harness and goose/],
    [["--repo"], /needs a value/],
  ]) {
    const result = spawnSync(path.join(ROOT, "scripts/demo"), words, { encoding: "utf8" });
    assert.equal(result.status, 2, words.join(" "));
    assert.match(result.stderr, says);
  }
});

test("the test command refuses a step that does not exist", () => {
  const result = spawnSync(path.join(ROOT, "scripts/test"), ["nonsense"], { encoding: "utf8" });
  assert.equal(result.status, 2);
  assert.match(result.stderr, /no step called nonsense/);
});

test("the test command adds up what cargo and node report", () => {
  const log = [
    "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
    "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
    "\u001b[34mℹ pass 5\u001b[39m",
    "ℹ fail 1",
    "ℹ skipped 1",
    "a line that says 7 passed",
  ].join("\n");
  const script = readFileSync(path.join(ROOT, "scripts/test"), "utf8");
  const count = script.slice(script.indexOf("count() {"), script.indexOf("names() {"));
  const counted = ["passed", "failed", "skipped"].map((kind) =>
    Number(spawnSync(BASH, ["-c", `${count}\ncount /dev/stdin ${kind}`], { input: log, encoding: "utf8" }).stdout),
  );
  assert.deepEqual(counted, [20, 2, 3]);
});
