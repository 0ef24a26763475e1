// The test programs of this repository, compiled.
//
// cargo settles the features of what packages share by the packages that a
// command names, so naming others compiles half the dependencies anew. All who
// ask name the same. `sam` is compiled to count its lines (see coverage.mjs),
// which every command that compiles tests has to agree on, for the same reason.

import { spawnSync } from "node:child_process";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));

/**
 * What `cargo test ARGUMENTS --no-run` makes that can be run, each with the folder of its package, its name, its
 * path, and whether it is a test.
 *
 * Ends this process when it does not compile.
 */
export function compiled(args) {
  const cargo = spawnSync("cargo", ["test", ...args, "--no-run", "--message-format=json-render-diagnostics"], {
    encoding: "utf8",
    env: { ...process.env, RUSTC_WORKSPACE_WRAPPER: join(HERE, "rustc-with-coverage") },
    maxBuffer: 1 << 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (cargo.status !== 0) process.exit(cargo.status ?? 1);
  return cargo.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter((message) => message.reason === "compiler-artifact" && message.executable)
    .map(({ manifest_path, executable, target, profile }) => ({
      folder: relative(".", dirname(manifest_path)),
      target: target.name,
      executable,
      test: profile.test,
    }));
}
