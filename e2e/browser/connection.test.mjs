// The connection: what is shown when it breaks is true, and nothing is lost or
// doubled when it is back.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { becomes, conversation, Stack, transcript, until } from "./harness.mjs";
import { id, ScriptedNode } from "./scripted-node.mjs";

describe("a lost connection", { timeout: 300_000 }, () => {
  let stack;
  let project;
  let node;
  let run;
  let page;

  before(async () => {
    stack = await Stack.start();
    project = await stack.project();
    node = await ScriptedNode.join(stack);
    const submitted = await stack.submit(project, "Tell me how it goes");
    run = await node.run();
    page = await stack.page();
    await page.goto(stack.url + conversation(project, submitted.session));
    await node.rows(run, [{ kind: "text", body: { text: "before the break", ended_at: Date.now() } }]);
    await page.getByText("before the break").waitFor();
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  test("is said within seconds, with its time, and what is known stays", async () => {
    await stack.killServer();
    const banner = page.locator(".banner.offline");
    await banner.waitFor();
    assert.match(await banner.textContent(), /Reconnecting since \d\d:\d\d:\d\d/);
    assert.ok(await page.getByText("before the break").isVisible());
  });

  test("heals by itself, with what happened meanwhile, once", async () => {
    await stack.startServer();
    await node.connect("scripted");
    const grown = id("row");
    await node.rows(run, [
      { kind: "text", body: { text: "while it was away", ended_at: Date.now() } },
      { id: grown, kind: "text", body: { text: "half" } },
    ]);
    await node.rows(run, [{ id: grown, rev: 2, kind: "text", body: { text: "half and the rest", ended_at: Date.now() } }]);
    await page.getByText("half and the rest").waitFor();
    await page.locator(".banner.offline").waitFor({ state: "detached" });
    assert.equal(await page.getByText("before the break").count(), 1);
    assert.equal(await page.getByText("while it was away").count(), 1);
    assert.equal(await page.getByText("half and the rest").count(), 1);
  });

  test("leaves the page as a fresh one", async () => {
    const healed = await transcript(page);
    await page.reload();
    await page.getByText("half and the rest").waitFor();
    // What still runs shows its elapsed time; all else is equal.
    const still = (html) => html.replaceAll(/<span class="(time|total)"[^>]*>[^<]*<\/span>/g, "");
    assert.equal(still(await transcript(page)), still(healed));
  });

  test("heals as well when the runtime alone dies", async () => {
    const rows = await page.locator(".log > .row").count();
    await stack.killRuntime();
    await node.connect("scripted");
    await node.rows(run, [{ kind: "text", body: { text: "after the runtime", ended_at: Date.now() } }]);
    await page.getByText("after the runtime").waitFor();
    await page.locator(".banner.offline").waitFor({ state: "detached" });
    await becomes("one row more", () => page.locator(".log > .row").count(), rows + 1);
  });

  test("without a network the page says so when it is asked for more", async () => {
    await page.context().setOffline(true);
    await page.locator("textarea").fill("are you there?");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
    assert.equal(await page.locator("textarea").inputValue(), "are you there?");
    await page.context().setOffline(false);
    await page.getByRole("button", { name: "Send" }).click();
    await until("the prompt to be there once", async () => (await page.locator(".row.prompt", { hasText: "are you there?" }).count()) === 1);
    await becomes("the field to be empty", () => page.locator("textarea").inputValue(), "");
  });
});
