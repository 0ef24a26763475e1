// The built site under `wrangler pages dev`: its small program passes the API
// and the feed on, so that a task can be watched there as well.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { conversation, freePort, ROOT, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

describe("the site on Pages", { timeout: 300_000 }, () => {
  let stack;
  let node;
  let pages;
  let site;
  let scratch;
  let said = "";

  before(async () => {
    const port = await freePort();
    site = `http://127.0.0.1:${port}`;
    // The control plane knows the site's origin as its own.
    stack = await Stack.start({ settings: { SAM_PUBLIC_URL: site } });
    scratch = mkdtempSync(path.join(os.tmpdir(), "sam-pages-"));
    const args = [
      ...["pages", "dev", path.join(ROOT, "dist/pages"), "--ip", "127.0.0.1", "--port", String(port)],
      ...["--inspector-port", "0", "--persist-to", scratch, "--compatibility-date", "2026-07-01"],
      ...["--binding", `SAM_ORIGIN=${stack.url}`, "--show-interactive-dev-session=false"],
    ];
    // In a group of its own, which ends with everything it started.
    pages = spawn(path.join(ROOT, "node_modules/.bin/wrangler"), args, {
      cwd: scratch,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        // wrangler wants the Node that the packages bring.
        PATH: `${path.join(ROOT, "node_modules/.bin")}${path.delimiter}${process.env.PATH}`,
        HOME: scratch,
        CI: "1",
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        X_LOCAL_OBSERVABILITY: "false",
        X_LOCAL_EXPLORER: "false",
      },
    });
    for (const stream of [pages.stdout, pages.stderr]) {
      stream.on("data", (data) => {
        said += data;
      });
    }
    await until(`the site to answer; it said: ${said}`, async () => (await fetch(`${site}/healthz`)).ok, 60_000).catch((error) => {
      throw new Error(`${error.message}\n${said}`);
    });
  });
  after(async () => {
    if (pages && pages.exitCode === null) {
      const ended = new Promise((resolve) => pages.once("exit", resolve));
      process.kill(-pages.pid, "SIGKILL");
      await ended;
    }
    node?.close();
    await stack?.stop();
    if (scratch) rmSync(scratch, { recursive: true, force: true });
  });

  test("signs in, submits over the passed API and watches over the passed feed", async () => {
    const project = await stack.project();
    node = await ScriptedNode.join(stack);
    const page = await stack.page({ signedIn: false, origin: site });
    const link = await stack.call("POST", "/api/auth/sign-in-links", {});
    await page.goto(site + new URL(link.url).pathname + new URL(link.url).hash);
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();

    await page.getByRole("link", { name: /harbour-books/ }).click();
    await page.getByLabel("What is to be done").fill("Watch me on Pages");
    await page.getByRole("button", { name: "Start task" }).click();
    await page.waitForURL(/\/sessions\/ses_/);
    const run = await node.run();
    await node.rows(run, [{ kind: "text", body: { text: "seen on Pages", ended_at: Date.now() } }]);
    await page.getByText("seen on Pages").waitFor();

    // A deep address loads the app as well.
    const [session] = page.url().split("/").slice(-1);
    await page.goto(site + conversation(project, session));
    await page.getByText("seen on Pages").waitFor();
    assert.deepEqual(page.complaints, []);
  });
});
