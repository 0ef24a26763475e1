// The command line's page: what is released, the way for one's own system, and
// the quick start that the program itself shows.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { index, upload } from "../../scripts/release.mjs";
import { axe, native, sideways, Stack } from "./harness.mjs";

describe("tools", { timeout: 300_000 }, () => {
  let stack;
  let page;

  before(async () => {
    stack = await Stack.start();
    page = await stack.page();
  });
  after(() => stack?.stop());

  test("the page is in the main navigation and says when nothing is released", async () => {
    page.refused.push("/api/cli/version");
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Tools" }).click();
    await page.getByRole("link", { name: /Command line/ }).click();
    await page.getByRole("heading", { name: "Command line", level: 1 }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/tools/cli");
    await page.getByText("No sam is released here yet.").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("a release is linked to for the system of who looks, and is what was released", async () => {
    const out = path.join(stack.directory, "release");
    const program = "#!/bin/sh\necho 'sam 1.2.3'\n";
    for (const platform of ["linux-amd64", "darwin-arm64"]) {
      mkdirSync(path.join(out, platform), { recursive: true });
      writeFileSync(path.join(out, platform, "sam"), program);
    }
    const { cli } = index({ out, version: "1.2.3" });
    await upload({ out, stateDir: path.join(stack.directory, "server") });

    await page.reload();
    const link = page.getByRole("link", { name: "Download sam 1.2.3 for Linux (amd64)" });
    assert.equal(await link.getAttribute("href"), "/api/cli/download?os=linux&arch=amd64");
    await page.getByRole("link", { name: "macOS (arm64)" }).waitFor();
    assert.equal(await page.getByTitle(`Copy checksum: ${cli.downloads[0].sha256}`).count(), 2);
    await page.getByText(`curl -fsSL ${stack.url}/api/cli/install | sh`).waitFor();
    assert.deepEqual(await axe(page), []);
    assert.deepEqual(await sideways(page), []);
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    assert.equal(download.suggestedFilename(), "sam");
    const text = await (await download.createReadStream()).toArray();
    assert.equal(Buffer.concat(text).toString(), program);
    assert.deepEqual(page.complaints, []);
  });

  test("the quick start is the program's own", async () => {
    const help = execFileSync(native("sam"), ["--help"], { encoding: "utf8" });
    const own = /Quick start:\n((?: {2}.*\n)+)/.exec(help)[1];
    const commands = own.split("\n").filter((line) => line.trim() && !line.includes("# "));
    await page.goto(`${stack.url}/tools/cli`);
    const panel = page.getByRole("region", { name: "Quick start" });
    await panel.waitFor();
    const shown = await panel.locator("pre").allTextContents();
    assert.deepEqual(
      shown.map((line) => line.trim()),
      commands.map((line) => line.trim().replace("URL", stack.url)),
    );
  });

  test("it fits a small screen", async () => {
    const small = await stack.page({ width: 320, height: 640 });
    await small.goto(`${stack.url}/tools/cli`);
    await small.getByRole("link", { name: /Download sam 1.2.3/ }).waitFor();
    assert.deepEqual(await sideways(small), []);
    await small.close();
  });
});
