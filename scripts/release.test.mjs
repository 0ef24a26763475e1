import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

import { index, objects, parse, TARGETS } from "./release.mjs";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** A folder with programs in it: `{"linux-amd64/sam": "its bytes"}`. */
function release(t, files) {
  const out = mkdtempSync(path.join(os.tmpdir(), "sam-release-"));
  t.after(() => rmSync(out, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(out, name)), { recursive: true });
    writeFileSync(path.join(out, name), text);
  }
  return out;
}

test("each program's document names its files with their checksums", (t) => {
  const out = release(t, { "linux-amd64/sam": "one", "darwin-arm64/sam": "two", "linux-amd64/sam-harness": "three" });
  const documents = index({ out, version: "1.2.3" });
  assert.deepEqual(documents.cli, {
    version: "1.2.3",
    downloads: [
      { os: "linux", arch: "amd64", sha256: sha256("one"), bytes: 3 },
      { os: "darwin", arch: "arm64", sha256: sha256("two"), bytes: 3 },
    ],
  });
  assert.deepEqual(JSON.parse(readFileSync(path.join(out, "cli.json"), "utf8")), documents.cli);
  assert.equal(documents.harness.downloads.length, 1);
  assert.equal(existsSync(path.join(out, "agent.json")), false);
  assert.equal(
    readFileSync(path.join(out, "SHA256SUMS"), "utf8"),
    `${sha256("one")}  linux-amd64/sam\n${sha256("two")}  darwin-arm64/sam\n${sha256("three")}  linux-amd64/sam-harness\n`,
  );
});

test("files are stored before the documents that name them", (t) => {
  const out = release(t, { "linux-amd64/sam": "one", "linux-amd64/sam-vm-agent": "two" });
  index({ out, version: "1.2.3" });
  const keys = objects(out).map(({ key }) => key);
  assert.deepEqual(keys, [`release/${sha256("one")}`, `release/${sha256("two")}`, "release/cli.json", "release/agent.json"]);
});

test("a file that is not what its document says is not stored", (t) => {
  const out = release(t, { "linux-amd64/sam": "one" });
  index({ out, version: "1.2.3" });
  writeFileSync(path.join(out, "linux-amd64/sam"), "onf");
  assert.throws(() => objects(out), /linux-amd64\/sam is not what .*cli\.json says/);
  const nothing = release(t, {});
  assert.throws(() => index({ out: nothing }), /there is no program in/);
  assert.throws(() => objects(nothing), /is released/);
});

test("every platform is one that the programs know", () => {
  for (const { os: system, arch, programs } of Object.values(TARGETS)) {
    assert.match(`${system}/${arch}`, /^(linux|darwin)\/(amd64|arm64)$/);
    assert.ok(programs.includes("cli"));
  }
});

test("an upload says where to, once", () => {
  assert.throws(() => parse(["upload"]), /say where to/);
  assert.throws(() => parse(["upload", "--remote", "--state-dir", "x"]), /say where to/);
  assert.throws(() => parse(["build", "--target"]), /needs a value/);
  assert.throws(() => parse(["build", "--wrong"]), /unknown option/);
  assert.equal(parse(["upload", "--remote"]).options.remote, true);
  assert.deepEqual(parse(["build", "--target", "a", "--target", "b"]).options.targets, ["a", "b"]);
});
