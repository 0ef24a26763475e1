// What a person can do to a running task: write, take back, stop, finish,
// cancel. The machine is scripted, so that each moment can be held.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, becomes, conversation, sideways, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

describe("a running task", { timeout: 300_000 }, () => {
  let stack;
  let project;
  let node;
  let page;

  const open = async (prompt, rest) => {
    const submitted = await stack.submit(project, prompt, rest);
    const run = await node.run();
    await page.goto(stack.url + conversation(project, submitted.session));
    await page.locator(".fact-line .state.working").waitFor();
    return { ...submitted, run };
  };
  const word = (text) => page.locator(".fact-line .state .word", { hasText: text }).waitFor();

  before(async () => {
    stack = await Stack.start();
    project = await stack.project();
    node = await ScriptedNode.join(stack);
    page = await stack.page();
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  test("x asks before it cancels; Esc keeps the task, the button ends it", async () => {
    const { task } = await open("Something long");
    await page.keyboard.press("x");
    const dialog = page.getByRole("dialog", { name: "Cancel task" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal((await stack.call("GET", `/api/tasks/${task}`)).state, "running");

    await page.keyboard.press("x");
    await dialog.getByRole("button", { name: "Cancel task" }).click();
    await word("cancelled");
    await page.locator(".result.stopped").waitFor();
    await page.getByRole("button", { name: "Cancel task" }).waitFor({ state: "detached" });
    await stack.taskState(task, "cancelled");
  });

  test("a prompt written meanwhile is queued, seen as queued, and can be taken back", async () => {
    const { session } = await open("First words");
    await page.getByLabel("Your next prompt").fill("second words");
    await page.getByRole("button", { name: "Send" }).click();
    const queued = page.locator(".row.prompt", { hasText: "second words" });
    await queued.getByText("queued").waitFor();
    await becomes("the field to be empty", () => page.getByLabel("Your next prompt").inputValue(), "");
    await queued.getByRole("button", { name: "Remove" }).click();
    await until("the prompt to be taken back", async () => {
      const view = await stack.call("GET", `/api/projects/${project.id}/sessions/${session}`);
      return !view.prompts.some((prompt) => prompt.state === "queued");
    });
    await queued.getByText("queued").waitFor({ state: "detached" });
  });

  test("Stop turn reaches the agent as a cancelled prompt", async () => {
    const { run } = await open("Stop me");
    await page.getByRole("button", { name: "Stop turn" }).click();
    const cancel = await node.command("cancel_prompt");
    assert.equal(cancel.do.prompt, run.prompt.do.prompt);
  });

  test("a conversation waits for the person after each turn, and Finish ends it", async () => {
    const { run } = await open("Let us talk", { mode: "conversation" });
    const [row] = await node.rows(run, [{ kind: "text", body: { text: "I listen.", ended_at: Date.now() } }]);
    node.finish(run, row.n);
    await word("awaiting input");
    await becomes("the note", () => page.locator("#follow-up-note").textContent(), "The agent waits for you.");
    await page.locator(".group", { hasText: "Needs you" }).waitFor();
    await page.getByRole("button", { name: "Finish" }).click();
    await node.perform("finish_git", () => ({
      event: "git_result",
      files_changed: 0,
      added: 0,
      removed: 0,
    }));
    await word("completed");
    await page.getByRole("heading", { name: /Done, nothing was changed/ }).waitFor();
  });

  test("the same work is given to two agents, and one of them is chosen", async () => {
    await page.goto(`${stack.url}/projects/${project.id}/new`);
    await page.getByRole("combobox", { name: /^Compared with/ }).selectOption("goose");
    await page.getByRole("combobox", { name: /^Agent/ }).selectOption("goose");
    await becomes("nobody to be compared with themselves", () => page.getByRole("combobox", { name: /^Compared with/ }).inputValue(), "");
    await page.getByRole("combobox", { name: /^Compared with/ }).selectOption("sam-harness");
    await page.getByLabel("What is to be done").fill("Do it twice");
    await page.getByRole("button", { name: "Start task" }).click();
    await page.waitForURL(/\/sessions\/ses_/);
    await page.locator(".fact-line", { hasText: "goose" }).waitFor();
    const check = { title: "npm test", tool_kind: "execute", status: "completed", arguments: "{}", output: "12 passing", ended_at: Date.now() };
    for (const run of [await node.run(), await node.run()]) {
      const { model_token: token } = await stack.call("POST", `/api/nodes/${node.id}/tokens`, { workspace: run.workspace }, { token: node.token });
      const call = { model: "scripted", messages: [{ role: "user", content: "Do it" }] };
      await stack.call("POST", "/ai/v1/chat/completions", call, { token });
      const rows = await node.rows(run, [{ kind: "tool", body: check }, { kind: "text", body: { text: "Done.", ended_at: Date.now() } }]);
      node.finish(run, rows.at(-1).n);
      await node.perform("finish_git", () => ({ event: "git_result", files_changed: 0, added: 0, removed: 0 }));
    }
    const result = page.locator(".result");
    await result.getByRole("link", { name: "sam-harness" }).waitFor();
    // Side by side: turns, tokens, cost, time, checks and changes of each.
    const candidates = result.locator(".candidates > li");
    await until("both to be done", async () => (await candidates.filter({ hasText: "completed" }).count()) === 2);
    for (const [fact, shown] of [["Turns", /^1$/], ["Tokens", /^\d+ in, \d+ out$/], ["Cost", /^\$/], ["Time", /s$/], ["Checks", /^1 passed$/], ["Changes", /^0 files/]]) {
      const values = candidates.locator("dl > div").filter({ hasText: fact }).locator("dd");
      await until(`${fact} of both`, async () => {
        const texts = await values.allTextContents();
        return texts.length === 2 && texts.every((text) => shown.test(text));
      });
    }
    await result.getByRole("button", { name: "Choose goose" }).click();
    await result.getByText("chosen", { exact: true }).waitFor();
    assert.deepEqual(await axe(page), []);
    assert.deepEqual(await sideways(page), []);
  });

  test("a failure says at which step, what, and what next", async () => {
    await stack.submit(project, "This one fails");
    const prepare = await node.command("prepare_workspace");
    node.report(prepare, {
      event: "command_failed",
      command: prepare.id,
      code: "clone_failed",
      message: "The repository could not be read.",
      hint: "Check its address.",
    });
    await page.goto(`${stack.url}/projects/${project.id}`);
    await page.getByRole("link", { name: /This one fails/ }).click();
    const result = page.locator(".result.failed");
    await result.waitFor();
    assert.match(await result.locator("h2").textContent(), /Failed while preparing/);
    assert.match(await result.textContent(), /The repository could not be read\./);
    assert.match(await result.textContent(), /Next: Check its address\./);
  });

  test("what one reads does not move while more arrives; a chip leads to the newest", async () => {
    const { run } = await open("Write a lot");
    const lines = (n) => Array.from({ length: 60 }, (_, i) => `line ${n}.${i}`).join("\n\n");
    await node.rows(run, [{ kind: "text", body: { text: lines(1), ended_at: Date.now() } }]);
    await page.getByText("line 1.59").waitFor();
    const scroll = page.locator(".scroll");
    await until("the end to be in view", () => scroll.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 40));
    await scroll.evaluate((e) => e.scrollTo(0, 300));
    await page.getByRole("button", { name: "Jump to latest" }).waitFor();
    const place = () => page.getByText("line 1.20", { exact: true }).evaluate((e) => Math.round(e.getBoundingClientRect().top));
    const before = await place();
    await node.rows(run, [{ kind: "text", body: { text: lines(2), ended_at: Date.now() } }]);
    await page.getByText("line 2.59").waitFor({ state: "attached" });
    await becomes("what one reads to be where it was", place, before);
    await page.getByRole("button", { name: "Jump to latest" }).click();
    await page.getByText("line 2.59").waitFor();
    await page.getByRole("button", { name: "Jump to latest" }).waitFor({ state: "detached" });
  });

  test("a card that is being read stays in sight when its run folds", async () => {
    const { run } = await open("Read around");
    const read = (file) => ({
      kind: "tool",
      body: { title: `Read ${file}`, tool_kind: "read", status: "completed", locations: [{ path: file }], output: `inside ${file}`, ended_at: Date.now() },
    });
    await node.rows(run, [read("one.js"), read("two.js")]);
    await page.getByRole("button", { name: /Read one\.js/ }).click();
    await page.getByText("inside one.js").waitFor();
    await node.rows(run, [read("three.js")]);
    await page.getByRole("button", { name: /3 reads/ }).waitFor();
    assert.ok(await page.getByText("inside one.js").isVisible());
    // Whoever comes later finds the run folded.
    await page.reload();
    await page.getByRole("button", { name: /3 reads\s*one\.js, two\.js, three\.js/ }).waitFor();
    assert.equal(await page.getByText("inside one.js").count(), 0);
  });

  test("of a long conversation the newest part is drawn, and the rest when asked for", async () => {
    const { run } = await open("Talk a lot");
    for (let batch = 0; batch < 5; batch++) {
      await node.rows(run, Array.from({ length: 90 }, (_, i) => ({ kind: "text", body: { text: `word ${batch * 90 + i}.`, ended_at: Date.now() } })));
    }
    await page.getByText("word 449.", { exact: true }).waitFor();
    const watched = await page.locator(".log > .row").count();
    assert.ok(watched <= 400, `${watched} rows are drawn`);
    await page.reload();
    await page.getByText("word 449.", { exact: true }).waitFor();
    assert.equal(await page.locator(".log > .row").count(), watched);
    await page.getByRole("button", { name: /Show \d+ earlier/ }).click();
    await page.getByText("word 0.", { exact: true }).waitFor();
    assert.equal(await page.locator(".log > .row").count(), 451);
  });

  test("words not sent are kept while one looks elsewhere, and over a reload", async () => {
    await open("Wait for me");
    await page.getByLabel("Your next prompt").fill("half a thought");
    await page.getByRole("link", { name: /Talk a lot/ }).click();
    await page.getByRole("heading", { name: "Talk a lot" }).waitFor();
    await becomes("another field", () => page.getByLabel("Your next prompt").inputValue(), "");
    await page.goBack();
    await page.getByRole("heading", { name: "Wait for me" }).waitFor();
    await becomes("the kept words", () => page.getByLabel("Your next prompt").inputValue(), "half a thought");
    await page.reload();
    await becomes("the kept words", () => page.getByLabel("Your next prompt").inputValue(), "half a thought");
  });

  test("nothing was complained about in the console", () => {
    assert.deepEqual(page.complaints, []);
  });

  test("what an agent asks is shown with its answers, and the one that is chosen reaches it", async () => {
    const { run } = await open("Ask me first");
    const asked = {
      kind: "permission",
      body: {
        title: "rm -rf build",
        name: "bash",
        tool_kind: "execute",
        arguments: '{"command":"rm -rf build"}',
        choices: [
          { id: "yes", label: "Allow once", means: "allow_once" },
          { id: "no", label: "Reject", means: "reject_once" },
        ],
        wait: 1_800_000,
        default: "no",
        state: "open",
      },
    };
    const [row] = await node.rows(run, [asked]);
    const card = page.locator(".log");
    await card.getByRole("button", { name: "Reject" }).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.setViewportSize({ width: 375, height: 740 });
    assert.deepEqual(await sideways(page), []);
    await page.setViewportSize({ width: 1280, height: 860 });
    await card.getByRole("button", { name: "Allow once" }).click();
    const answer = await node.command("answer_permission");
    assert.deepEqual([answer.do.permission, answer.do.option], [row.id, "yes"]);
    node.report(answer, { event: "command_done", command: answer.id });
    await node.rows(run, [{ ...asked, id: row.id, rev: 2, body: { ...asked.body, state: "answered", chosen: "yes" } }]);
    await card.getByText("answered Allow once").waitFor();
    await card.getByRole("button").first().waitFor({ state: "detached" });
    assert.deepEqual(page.complaints, []);
  });
});
