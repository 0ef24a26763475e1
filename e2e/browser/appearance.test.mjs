// How it looks and feels: every page at every width, in both themes, by
// keyboard alone.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, becomes, conversation, sideways, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

const LONG = "a".repeat(300);

describe("every page", { timeout: 300_000 }, () => {
  let stack;
  let node;
  let pages;
  let page;
  let project;

  before(async () => {
    stack = await Stack.start();
    project = await stack.project();
    node = await ScriptedNode.join(stack);
    const submitted = await stack.submit(project, `Show everything ${LONG}`);
    const run = await node.run();
    const ended = { ended_at: Date.now() };
    await node.rows(run, [
      { kind: "thought", body: { text: "Hm.", ...ended } },
      { kind: "plan", body: { entries: ["completed", "in_progress", "pending"].map((status) => ({ content: status, status })) } },
      { kind: "text", body: { text: `# Head\n\n${LONG}\n\n\`\`\`js\n${LONG}\n\`\`\`\n\n|a|b|\n|-|-|\n|${LONG}|1|\n\n- [x] done\n\n> quoted, [a link](https://example.com/)`, ...ended } },
      ...["info", "warning", "error", "question"].map((level) => ({
        kind: "notice",
        author: "system",
        body: { level, code: level, text: `A ${level}`, hint: "Do this." },
      })),
      { kind: "tool", body: { title: LONG, tool_kind: "execute", status: "failed", arguments: JSON.stringify({ command: LONG }), output: `${LONG}\n`.repeat(60), ...ended } },
      { kind: "tool", body: { title: "Edit", tool_kind: "edit", status: "completed", diffs: [{ path: LONG, unified: `@@ -1,2 +1,2 @@\n context\n-${LONG}\n+${LONG}`, added: 1, removed: 1 }], ...ended } },
      ...["a.js", "b.js", "c.js"].map((file) => ({ kind: "tool", body: { title: `Read ${file}`, tool_kind: "read", status: "completed", locations: [{ path: file }], ...ended } })),
      { kind: "usage", body: { input_tokens: 1200, output_tokens: 300, took: 4000 } },
    ]);
    const token = { name: LONG.slice(0, 100), scopes: ["read", "node-join"], expires_in_days: 30 };
    await stack.call("POST", "/api/auth/tokens", token);
    const codes = await stack.call("POST", "/api/auth/device/code", { client_id: LONG.slice(0, 100), scope: "read" });
    page = await stack.page();
    pages = {
      projects: "/",
      list: `/projects/${project.id}`,
      "new task": `/projects/${project.id}/new`,
      conversation: conversation(project, submitted.session),
      nodes: "/nodes",
      settings: "/settings",
      "a code to compare": `/device?code=${codes.user_code}`,
      "a code to type": "/device",
      nowhere: "/nowhere",
    };
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  const visit = async (name) => {
    await page.goto(stack.url + pages[name]);
    await page.locator(name === "conversation" ? ".row.usage" : "h1:visible, .entry:visible").first().waitFor();
    if (name === "nodes") await page.locator(".node").waitFor();
    if (name === "settings") await page.locator(".setting").nth(1).waitFor();
    if (name === "a code to compare") await page.getByRole("button", { name: "Deny" }).waitFor();
  };

  test("does not scroll sideways at 1280, 900, 375 and 320 px", async () => {
    for (const width of [1280, 900, 375, 320]) {
      await page.setViewportSize({ width, height: 740 });
      for (const name of Object.keys(pages)) {
        await visit(name);
        assert.deepEqual(await sideways(page), [], `${name} at ${width} px`);
      }
    }
  });

  test("is clean in axe, dark and light, wide and narrow", async () => {
    for (const width of [1280, 375]) {
      for (const colorScheme of ["dark", "light"]) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        for (const name of Object.keys(pages)) {
          await visit(name);
          if (name === "conversation") {
            await page.locator(".fold[aria-expanded=false]").evaluateAll((all) => all.forEach((one) => one.click()));
          }
          assert.deepEqual(await axe(page), [], `${name}, ${colorScheme}, ${width} px`);
        }
      }
    }
    for (const [key, name] of [["?", "Keys"], ["Control+k", "Palette"]]) {
      await page.keyboard.press(key);
      const dialog = page.getByRole("dialog", { name });
      await dialog.waitFor();
      assert.deepEqual(await axe(page), [], name);
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    }
  });

  test("under 900 px the panes are a stack with a way back", async () => {
    await page.setViewportSize({ width: 375, height: 740 });
    await visit("list");
    await page.locator(".list-pane").waitFor();
    await page.locator("#main").waitFor({ state: "hidden" });
    await page.locator(".entry").first().click();
    await page.locator(".conversation").waitFor();
    await page.locator(".list-pane").waitFor({ state: "hidden" });
    await page.getByRole("link", { name: "Go back" }).click();
    await page.locator(".list-pane").waitFor();
    await page.setViewportSize({ width: 1280, height: 860 });
  });

  test("the switch changes the theme, which is there again before anything is drawn", async () => {
    await page.emulateMedia({ colorScheme: "dark" });
    await visit("projects");
    const canvas = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await canvas();
    await page.getByRole("button", { name: "Theme" }).click();
    assert.notEqual(await canvas(), dark);
    // The module that draws the app is held back: what is seen is the page before it.
    await page.route("**/assets/app-*.js", () => {});
    await page.reload({ waitUntil: "commit" });
    await page.waitForFunction(() => document.body);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
    assert.notEqual(await canvas(), dark);
    await page.unroute("**/assets/app-*.js");
    await visit("projects");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("system");
    await page.keyboard.press("Enter");
    await until("the system's theme", async () => (await canvas()) === dark);
  });

  test("works by keyboard: list, open, compose, filter, back, palette", async () => {
    await stack.submit(project, "A second piece of work");
    await visit("list");
    await page.getByRole("link", { name: /A second piece/ }).waitFor();

    await page.keyboard.press("j");
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const id = () => page.evaluate(() => document.activeElement.id);
    const first = await until("an entry to have the focus", async () => /piece of work|everything/.test(await focused()) && focused());
    await page.keyboard.press("j");
    await until("another entry to have it", async () => (await focused()) !== first);
    await page.keyboard.press("k");
    await becomes("the first entry to have it again", focused, first);
    await page.keyboard.press("Enter");
    await page.locator(".conversation").waitFor();

    await page.keyboard.press("c");
    await becomes("the composer to have the focus", id, "follow-up");
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await becomes("the filter to have the focus", id, "filter");
    await page.keyboard.type("second");
    await until("one entry", async () => (await page.locator(".entry").count()) === 1);
    await page.locator("#filter").fill("");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.waitForURL(stack.url + pages.list);

    await page.keyboard.press("Control+k");
    await page.keyboard.type("nodes");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${stack.url}/nodes`);
    await until("the heading to have the focus", () => page.evaluate(() => document.activeElement.tagName === "H1"));
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "detached" });
  });

  test("nothing was complained about in the console", () => {
    assert.deepEqual(page.complaints, []);
  });
});
