#!/usr/bin/env node
// Runs the compiled tests of some packages out of one build.
//
//   node scripts/lib/run-tests.mjs only|but FOLDER CARGO-ARGUMENT…
//
// cargo settles the features of what packages share by the packages that a
// command names, so naming others compiles half the dependencies anew. Here the
// arguments always name the same, and `only` or `but` says whose tests run, by
// the folder of their package.

import { spawnSync } from "node:child_process";
import { dirname, relative } from "node:path";

const [which, wanted, ...build] = process.argv.slice(2);
if (!["only", "but"].includes(which) || !wanted) {
  console.error("usage: run-tests.mjs only|but FOLDER CARGO-ARGUMENT…");
  process.exit(2);
}

const cargo = spawnSync("cargo", ["test", ...build, "--no-run", "--message-format=json-render-diagnostics"], {
  encoding: "utf8",
  maxBuffer: 1 << 30,
  stdio: ["ignore", "pipe", "inherit"],
});
if (cargo.status !== 0) process.exit(cargo.status ?? 1);

const tests = cargo.stdout
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line))
  .filter((message) => message.reason === "compiler-artifact" && message.profile.test && message.executable)
  .map(({ manifest_path, executable, target }) => ({ folder: dirname(manifest_path), target: target.name, executable }))
  .filter(({ folder }) => (relative(".", folder) === wanted) === (which === "only"));

let failed = 0;
for (const { folder, target, executable } of tests) {
  // As cargo does it: from the package's folder, which the environment names too.
  console.log(`     Running ${target} (${relative(".", folder)})`);
  const run = spawnSync(executable, [], {
    cwd: folder,
    env: { ...process.env, CARGO_MANIFEST_DIR: folder },
    stdio: "inherit",
  });
  if (run.status !== 0) {
    failed += 1;
    console.log(`failed: ${target} (${run.signal ?? run.status})`);
  }
}
process.exit(failed > 0 || tests.length === 0 ? 1 : 0);
