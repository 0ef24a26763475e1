// The entry's model, in node, on a module of five functions in place of the
// Worker: what traps ends its generation, everyone in flight hears of it, and
// the next call gets a fresh one. The runtime itself is tested end to end.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const scratch = mkdtempSync(path.join(tmpdir(), "sam-entry-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

// (module
//   (import "env" "callback" (func $callback))
//   (global $calls (mut i32) (i32.const 0))
//   (func (export "count") (result i32) …calls += 1…)
//   (func (export "trap") unreachable)
//   (func (export "call_back") call $callback)
//   (func (export "__wbg_thing_free")))
const MODULE = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 8, 2, 96, 0, 0, 96, 0, 1, 127,
  2, 16, 1, 3, 101, 110, 118, 8, 99, 97, 108, 108, 98, 97, 99, 107, 0, 0,
  3, 5, 4, 1, 0, 0, 0,
  6, 6, 1, 127, 1, 65, 0, 11,
  7, 47, 4,
  5, 99, 111, 117, 110, 116, 0, 1,
  4, 116, 114, 97, 112, 0, 2,
  9, 99, 97, 108, 108, 95, 98, 97, 99, 107, 0, 3,
  16, 95, 95, 119, 98, 103, 95, 116, 104, 105, 110, 103, 95, 102, 114, 101, 101, 0, 4,
  10, 25, 4,
  11, 0, 35, 0, 65, 1, 106, 36, 0, 35, 0, 11,
  3, 0, 0, 11,
  4, 0, 16, 0, 11,
  2, 0, 11,
]);

// What wasm-bindgen's glue looks like from outside.
const GLUE = `export default function instantiate(require, WebAssembly, ReadableStream) {
  require("cloudflare:workers");
  let wasm;
  return {
    initSync({ module }) {
      wasm = new WebAssembly.Instance(module, { env: { callback() { throw new Error("from JavaScript"); } } }).exports;
    },
    call: (name) => wasm[name](),
    never: () => new Promise(() => {}),
    stream: () => new ReadableStream({ pull: () => new Promise(() => {}) }),
    fails: () => Promise.reject(new Error("an ordinary failure")),
  };
}`;

const virtual = {
  name: "virtual",
  setup(builder) {
    builder.onResolve({ filter: /^(sam:glue|cloudflare:.*|.*index_bg\.wasm)$/ }, ({ path }) => ({ path, namespace: "virtual" }));
    builder.onLoad({ filter: /.*/, namespace: "virtual" }, ({ path }) => {
      if (path === "sam:glue") return { contents: GLUE };
      if (path.endsWith(".wasm")) return { contents: `export default new WebAssembly.Module(Uint8Array.from([${MODULE}]));` };
      return { contents: "export const nothing = null;" };
    });
  },
};

globalThis.addEventListener ??= () => {};
const outfile = path.join(scratch, "generation.mjs");
await build({
  entryPoints: [fileURLToPath(new URL("generation.mjs", import.meta.url))],
  bundle: true,
  format: "esm",
  outfile,
  plugins: [virtual],
  logLevel: "warning",
});
const { generation, InstanceEnded } = await import(pathToFileURL(outfile));

test("one generation serves until it ends", async () => {
  const living = generation();
  assert.equal(await living.run(() => living.glue.call("count")), 1);
  assert.equal(await generation().run(() => generation().glue.call("count")), 2);
  assert.equal(generation(), living);
});

test("an ordinary failure ends nothing", async () => {
  const living = generation();
  await assert.rejects(living.run(() => living.glue.fails()), /ordinary/);
  assert.equal(generation(), living);
});

test("a trap answers its caller and everyone in flight, and the next call is served afresh", async () => {
  const living = generation();
  const waiting = [living.run(() => living.glue.never()), living.run(() => living.glue.never())];
  await assert.rejects(living.run(() => living.glue.call("trap")), InstanceEnded);
  for (const one of waiting) await assert.rejects(one, InstanceEnded);
  const next = generation();
  assert.notEqual(next, living);
  assert.equal(await next.run(() => next.glue.call("count")), 1);
});

test("a JavaScript exception that unwinds through the instance ends it too", async () => {
  const living = generation();
  await assert.rejects(living.run(() => living.glue.call("call_back")), (error) => {
    assert.ok(error instanceof InstanceEnded);
    assert.match(error.message, /from JavaScript/);
    return true;
  });
  assert.notEqual(generation(), living);
});

test("an ended generation refuses late calls, and lets finalizers go", async () => {
  const living = generation();
  await assert.rejects(living.run(() => living.glue.call("trap")));
  assert.throws(() => living.glue.call("count"), InstanceEnded);
  assert.equal(living.glue.call("__wbg_thing_free"), undefined);
  await assert.rejects(living.run(() => 1), InstanceEnded);
});

test("a body that streams out of an ended instance fails", async () => {
  const living = generation();
  const reading = living.glue.stream().getReader().read();
  await assert.rejects(living.run(() => living.glue.call("trap")));
  await assert.rejects(reading, InstanceEnded);
});
