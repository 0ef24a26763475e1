#!/usr/bin/env node
// How much of the command line's own code its scenario tests run.
//
//   node scripts/lib/coverage.mjs FLOOR CARGO-ARGUMENT…
//
// run-tests.mjs has run the tests; each run of `sam` and of its unit tests left
// its counts in target/coverage. Writes cli/coverage.lcov, prints the share of
// lines that ran, and fails below FLOOR per cent. The LLVM tools that read the
// counts are rustup's component llvm-tools.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compiled } from "./compiled.mjs";

const COUNTS = "target/coverage";
const REPORT = "cli/coverage.lcov";
/** Files that are named because least of them ran. */
const NAMED = 5;

const [floor, ...build] = process.argv.slice(2);
if (!(Number(floor) > 0)) fail("usage: coverage.mjs FLOOR CARGO-ARGUMENT…", 2);

const counts = (existsSync(COUNTS) ? readdirSync(COUNTS) : []).filter((name) => name.endsWith(".profraw"));
if (counts.length === 0) fail("Nothing was counted. Run the tests first: scripts/test unit");

const programs = compiled(build).filter(({ folder, target }) => folder === "cli" && target === "sam");
const merged = join(COUNTS, "sam.profdata");
tool("llvm-profdata", "merge", "-sparse", "-o", merged, ...counts.map((name) => join(COUNTS, name)));
const [first, ...others] = programs.map(({ executable }) => executable);
const exported = tool(
  "llvm-cov",
  "export",
  "--format=lcov",
  `--instr-profile=${merged}`,
  first,
  ...others.flatMap((executable) => ["--object", executable]),
);

const files = exported
  .split("end_of_record\n")
  .map((record) => ({ record, path: relative(".", /^SF:(.*)$/m.exec(record)?.[1] ?? "") }))
  .filter(({ path }) => path.startsWith("cli/src/"))
  .map(({ record, path }) => {
    const lines = [...record.matchAll(/^DA:\d+,(\d+)/gm)];
    return {
      path,
      record: `${record.replace(/^SF:.*$/m, `SF:${path}`)}end_of_record\n`,
      lines: lines.length,
      ran: lines.filter(([, times]) => times !== "0").length,
    };
  });
writeFileSync(REPORT, files.map(({ record }) => record).join(""));

const sum = (part) => files.reduce((total, file) => total + part(file), 0);
const share = (100 * sum(({ ran }) => ran)) / sum(({ lines }) => lines);
for (const { path, ran, lines } of files.toSorted((one, other) => one.ran - one.lines - other.ran + other.lines).slice(0, NAMED))
  console.log(`${path}: ${lines - ran} of ${lines} lines did not run`);
console.log(`${REPORT}: ${share.toFixed(1)} % of lines ran, at least ${floor} % must`);
if (!(share >= Number(floor))) fail("The floor of the command line's coverage is not held.");

/** Runs one of rustup's LLVM tools; returns what it prints. */
function tool(name, ...args) {
  const rustc = (...asked) => spawnSync("rustc", asked, { encoding: "utf8" }).stdout;
  const host = /^host: (.*)$/m.exec(rustc("-vV"))?.[1] ?? "";
  const path = join(rustc("--print", "sysroot").trim(), "lib/rustlib", host, "bin", name);
  if (!existsSync(path)) fail(`${name} is missing. Install it: rustup component add llvm-tools`);
  const run = spawnSync(path, args, { encoding: "utf8", maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "inherit"] });
  if (run.status !== 0) fail(`${name} ended with ${run.status ?? run.signal}`);
  return run.stdout;
}

function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}
