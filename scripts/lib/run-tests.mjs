#!/usr/bin/env node
// Runs the compiled tests of some packages out of one build.
//
//   node scripts/lib/run-tests.mjs only|but FOLDER CARGO-ARGUMENT…
//
// The arguments always name the same packages (see compiled.mjs); `only` or
// `but` says whose tests run, by the folder of their package.
//
// Test programs run beside each other (SAM_TEST_PROGRAMS of them, else two),
// because the last tests of one mostly wait; the output of each is shown whole
// when it ends. Those that took longest last time begin first.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve as resolvePath } from "node:path";
import { compiled } from "./compiled.mjs";

const [which, wanted, ...build] = process.argv.slice(2);
if (!["only", "but"].includes(which) || !wanted) {
  console.error("usage: run-tests.mjs only|but FOLDER CARGO-ARGUMENT…");
  process.exit(2);
}

const tests = compiled(build)
  .filter(({ test, folder }) => test && (folder === wanted) === (which === "only"))
  .map(({ target, folder, executable }) => ({ name: `${target} (${folder})`, folder: resolvePath(folder), executable }));

const TIMES = `target/test-logs/times-${which}-${wanted}.json`;
const times = heldTimes();
const tookLastTime = ({ name }) => times[name] ?? Number.POSITIVE_INFINITY;
const queue = tests.toSorted((one, other) => (tookLastTime(one) < tookLastTime(other) ? 1 : -1));

// Counts of programs that were compiled otherwise mean nothing.
if (which === "but") rmSync("target/coverage", { recursive: true, force: true });
const COUNTS = resolvePath("target/coverage/%4m.profraw");

const running = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exit(130);
  });
}

let failed = 0;
const lanes = Number(process.env.SAM_TEST_PROGRAMS ?? 2);
await Promise.all(Array.from({ length: lanes }, lane));
mkdirSync(dirname(TIMES), { recursive: true });
writeFileSync(TIMES, `${JSON.stringify(times, null, 1)}\n`);
process.exit(failed > 0 || tests.length === 0 ? 1 : 0);

/** Runs one test program after another until none is left. */
async function lane() {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const began = Date.now();
    const { output, end } = await run(next);
    times[next.name] = Date.now() - began;
    process.stdout.write(`     Running ${next.name}\n${output}`);
    if (end !== 0) {
      failed += 1;
      console.log(`failed: ${next.name} (${end})`);
    }
  }
}

/** What a test program wrote, in the order in which it did, and its exit code or the signal that ended it. */
function run({ folder, executable }) {
  return new Promise((resolve) => {
    // As cargo does it: from the package's folder, which the environment names too.
    const child = spawn(executable, [], {
      cwd: folder,
      env: { ...process.env, CARGO_MANIFEST_DIR: folder, LLVM_PROFILE_FILE: COUNTS },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => chunks.push(chunk));
    child.on("error", (error) => chunks.push(Buffer.from(`${error.message}\n`)));
    child.on("close", (code, signal) => {
      running.delete(child);
      resolve({ output: Buffer.concat(chunks).toString(), end: code ?? signal ?? "not started" });
    });
  });
}

/** How many milliseconds each test program took when it last ran. */
function heldTimes() {
  try {
    return JSON.parse(readFileSync(TIMES, "utf8"));
  } catch {
    return {};
  }
}
