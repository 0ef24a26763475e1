// The main job as a person sees it: a task started in the app, done by the real
// machine with the real harness, watched live and found again after a reload.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { conversation, sideways, Stack, transcript, until } from "./harness.mjs";

describe("the main job in a browser", { timeout: 300_000 }, () => {
  let stack;
  let project;
  let page;

  before(async () => {
    stack = await Stack.start();
    project = await stack.project();
    await stack.machine();
    page = await stack.page();
  });
  after(() => stack?.stop());

  test("a task started in the app is watched live to its commit", async () => {
    // The model stops in the middle of its second answer, so that the page can
    // be looked at while the work goes on.
    await stack.fault({ kind: "hold", after_chunks: 2, tools: true, skip: 1 });
    await page.goto(`${stack.url}/projects/${project.id}/new`);
    await page.getByLabel("What is to be done").fill("Fix the failing test");
    await page.getByRole("button", { name: "Start task" }).click();
    await page.waitForURL(/\/sessions\/ses_/);

    const steps = page.getByRole("list", { name: "Steps" }).getByRole("listitem");
    await steps.filter({ hasText: /^running/ }).and(page.locator(".working")).waitFor();
    await page.locator(".row.tool").first().waitFor();
    assert.equal(await page.locator(".fact-line .state .word").textContent(), "running");
    assert.deepEqual(
      (await steps.locator(".word").allTextContents()).slice(0, 4),
      ["placing", "preparing", "starting", "running"],
    );
    // Elapsed time moves while the step runs.
    const time = steps.filter({ hasText: /^running/ }).locator(".time");
    const first = await time.textContent();
    await until("the elapsed time to move", async () => (await time.textContent()) !== first);
    assert.match(await page.locator(".scripted").first().textContent(), /scripted model/);

    await stack.release();
    const result = page.locator(".result");
    await result.waitFor({ timeout: 120_000 });
    assert.equal(await result.locator("h2 .word").textContent(), "Done");
    const { tasks } = await stack.call("GET", `/api/projects/${project.id}/tasks`);
    const [task] = tasks;
    assert.equal(stack.git(project.repository, "rev-parse", task.result.branch), task.result.commit);
    assert.ok((await result.textContent()).includes(task.result.branch));
    assert.ok((await result.textContent()).includes(task.result.commit.slice(0, 10)));

    // What was changed is seen in a tool card, without opening anything.
    await page.locator(".row.tool .diff .line.added").first().waitFor();
    await page.locator(".row.tool .diff .line.removed").first().waitFor();
  });

  test("the conversation is equal before and after a reload", async () => {
    const watched = await transcript(page);
    await page.reload();
    await page.locator(".result").waitFor();
    assert.equal(await transcript(page), watched);
  });

  test("a tool card opens to its command and output, a thought to its text", async () => {
    const run = page.locator(".row.tool").filter({ hasText: "test" }).locator("button.fold[aria-expanded=false]");
    await run.last().click();
    await page.locator(".row.tool .command").last().waitFor();
    assert.match(await page.locator(".row.tool .output").last().textContent(), /\S/);
  });

  test("the diff of the task is the commit's", async () => {
    await page.getByRole("button", { name: "Show diff" }).click();
    await page.locator(".whole-diff .line.added").first().waitFor();
    const { tasks } = await stack.call("GET", `/api/projects/${project.id}/tasks`);
    const { branch } = tasks[0].result;
    const numbers = stack.git(project.repository, "diff", "--numstat", `main...${branch}`).split("\n");
    const [added, removed] = numbers[0].split("\t").map(Number);
    assert.equal(await page.locator(".whole-diff .line.added").count(), added);
    assert.equal(await page.locator(".whole-diff .line.removed").count(), removed);
  });

  test("a follow-up after the end starts a new task in the same conversation, and says so first", async () => {
    assert.match(
      await page.locator("#follow-up-note").textContent(),
      /starts a new task in this conversation, on the same branch/,
    );
    await page.getByLabel("Your next prompt").fill("Why did the test fail?");
    await page.keyboard.press("Control+Enter");
    await page.locator(".row.prompt").nth(1).waitFor();
    await page.locator(".result").nth(1).waitFor({ timeout: 120_000 });
    const { tasks } = await stack.call("GET", `/api/projects/${project.id}/tasks`);
    assert.equal(tasks.length, 2);
    assert.equal(tasks[0].session, tasks[1].session);

    await page.reload();
    await page.locator(".result").nth(1).waitFor();
    const reloaded = await transcript(page);
    const fresh = await stack.page();
    await fresh.goto(stack.url + conversation(project, tasks[0].session));
    await fresh.locator(".result").nth(1).waitFor();
    assert.equal(await transcript(fresh), reloaded);
    // The first task's end stands before the second prompt.
    const order = await page
      .locator(".log > .row.prompt, .log > .row.outcome")
      .evaluateAll((rows) => rows.map((row) => row.classList[1]));
    assert.deepEqual(order, ["prompt", "outcome", "prompt", "outcome"]);
  });

  test("the finished conversation fits 1280, 375 and 320 px", async () => {
    for (const width of [1280, 375, 320]) {
      await page.setViewportSize({ width, height: 760 });
      assert.deepEqual(await sideways(page), [], `at ${width} px`);
    }
  });

  test("nothing was complained about in the console", () => {
    assert.deepEqual(page.complaints, []);
  });
});
