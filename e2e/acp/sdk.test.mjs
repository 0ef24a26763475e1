// The harness driven by the official TypeScript SDK of the Agent Client
// Protocol. The programs must be built: `cargo xtask build native`.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { HARNESS, ask, environment, scratch, start, text } from "./harness.mjs";
import { calls, hangs, model, says } from "./model.mjs";

const require = createRequire(import.meta.url);
const kinds = (updates) => updates.map((update) => update.sessionUpdate);
/** Updates as they are compared: texts whole, and without how full the context was on the way. */
function story(updates) {
  const whole = [];
  for (const update of updates) {
    const kind = update.sessionUpdate;
    if (kind === "available_commands_update" || kind === "config_option_update") continue;
    const last = whole.at(-1);
    const chunk = kind === "agent_message_chunk";
    if (chunk && last?.sessionUpdate === kind && last.messageId === update.messageId) {
      last.content = { type: "text", text: last.content.text + update.content.text };
    } else {
      whole.push(structuredClone(update));
    }
  }
  return whole;
}

test("a session is worked in, listed, closed, loaded as it was, and gone on with", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "write_file", { path: "a.txt", content: "one\n" }]),
    calls(["t2", "edit_file", { path: "a.txt", old_text: "one", new_text: "two" }]),
    says("It says two."),
    says("As before."),
  ]);
  t.after(scripted.stop);
  const args = ["--permission-mode", "full", "--price", "1,10"];
  const first = await start(t, { model: scripted, state, args });
  assert.equal(first.info.agentInfo.name, "sam-harness");
  assert.deepEqual(first.info.agentCapabilities.promptCapabilities.image, true);
  const opened = await first.connection.newSession({ cwd, mcpServers: [] });
  const { sessionId } = opened;
  assert.deepEqual(opened.modes.availableModes.map((mode) => mode.id), ["read-only", "ask", "accept-edits", "full"]);
  assert.equal(opened.modes.currentModeId, "full");
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const ended = await first.connection.prompt({
    sessionId,
    prompt: [
      { type: "text", text: "Make a.txt say two." },
      { type: "resource", resource: { uri: "file:///notes.md", text: "It begins with one." } },
      { type: "image", mimeType: "image/png", data: pixel },
    ],
  });
  assert.equal(ended.stopReason, "end_turn");
  // Three replies of 100 tokens in and 10 out.
  const usage = first.updates.filter((update) => update.sessionUpdate === "usage_update").at(-1);
  assert.deepEqual(usage.cost, { amount: 0.0006, currency: "USD" });
  assert.equal(ended.usage.totalTokens, 330);
  assert.equal(readFileSync(path.join(cwd, "a.txt"), "utf8"), "two\n");
  const prompted = scripted.requests[0].messages[1].content;
  assert.match(prompted[0].text, /^Make a\.txt say two\.\n\[file:\/\/\/notes\.md\]\nIt begins with one\.$/);
  assert.equal(prompted[1].image_url.url, `data:image/png;base64,${pixel}`);
  const live = first.updates.slice();
  const edit = live.find((update) => update.sessionUpdate === "tool_call_update" && update.toolCallId === "t2");
  assert.deepEqual(edit.content, [{ type: "diff", path: path.join(cwd, "a.txt"), oldText: "one\n", newText: "two\n" }]);
  const announced = live.find((update) => update.sessionUpdate === "tool_call" && update.toolCallId === "t2");
  assert.deepEqual(announced.locations.map((place) => place.path), [path.join(cwd, "a.txt")]);
  assert.ok(kinds(live).includes("usage_update") && kinds(live).includes("available_commands_update"));
  assert.equal(live.find((update) => update.sessionUpdate === "session_info_update").title, "Make a.txt say two.");

  await first.connection.closeSession({ sessionId });
  await assert.rejects(ask(first, sessionId, "still there?"), /not found/i);
  await first.stop();

  const second = await start(t, { model: scripted, state, args: ["--permission-mode", "full"] });
  const { sessions } = await second.connection.listSessions({ cwd });
  assert.deepEqual(sessions.map((session) => [session.sessionId, session.cwd, session.title]), [
    [sessionId, cwd, "Make a.txt say two."],
  ]);
  assert.deepEqual((await second.connection.listSessions({ cwd: state })).sessions, []);
  await second.connection.loadSession({ sessionId, cwd, mcpServers: [] });
  const replayed = story(second.updates);
  const said = replayed.filter((update) => update.sessionUpdate === "user_message_chunk");
  assert.deepEqual(said.map((update) => update.content.type), ["text", "resource", "image"]);
  assert.deepEqual(replayed.filter((update) => !said.includes(update)), story(live));
  const before = second.updates.length;
  assert.equal((await ask(second, sessionId, "And now?")).stopReason, "end_turn");
  assert.equal(text(second.updates.slice(before)), "As before.");
  const [earlier, later] = scripted.requests.slice(-2).map((request) => request.messages);
  assert.deepEqual(later.slice(0, earlier.length), earlier, "the resumed conversation begins with the same messages");
  assert.ok(second.checker.checked > 10 && first.checker.checked > 10);

  const third = await start(t, { model: scripted, state });
  await assert.rejects(third.connection.resumeSession({ sessionId, cwd, mcpServers: [] }), /open in another process/);
  await second.stop();
  await third.connection.resumeSession({ sessionId, cwd, mcpServers: [] });
  assert.deepEqual(story(third.updates), [], "a resumed session is not told again");
  await assert.rejects(
    third.connection.loadSession({ sessionId: "har_00000000000000000000000000", cwd, mcpServers: [] }),
    /not found/i,
  );
});

test("the mode decides who is asked, and model and effort reach the model", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "write_file", { path: "a.txt", content: "1" }]),
    calls(["t2", "write_file", { path: "b.txt", content: "2" }]),
    says("Asked."),
    calls(["t3", "write_file", { path: "c.txt", content: "3" }]),
    says("Not asked."),
  ]);
  t.after(scripted.stop);
  const asked = [];
  const client = {
    requestPermission: async ({ toolCall, options }) => {
      asked.push(toolCall.toolCallId);
      const kind = asked.length === 1 ? "allow_once" : "reject_once";
      const option = options.find((option) => option.kind === kind);
      return { outcome: { outcome: "selected", optionId: option.optionId } };
    },
  };
  const agent = await start(t, { model: scripted, state, client });
  const { sessionId, modes } = await agent.connection.newSession({ cwd, mcpServers: [] });
  assert.equal(modes.currentModeId, "ask");
  await ask(agent, sessionId, "write");
  assert.deepEqual(asked, ["t1", "t2"]);
  assert.ok(existsSync(path.join(cwd, "a.txt")) && !existsSync(path.join(cwd, "b.txt")));

  await agent.connection.setSessionMode({ sessionId, modeId: "accept-edits" });
  const set = (configId, value) => agent.connection.setSessionConfigOption({ sessionId, configId, value });
  await set("model", "scripted-2");
  const { configOptions } = await set("effort", "high");
  const current = Object.fromEntries(configOptions.map((option) => [option.id, option.currentValue]));
  assert.deepEqual(current, { mode: "accept-edits", model: "scripted-2", effort: "high" });
  await assert.rejects(set("model", "another"), /Invalid params/);
  await assert.rejects(agent.connection.setSessionMode({ sessionId, modeId: "boundless" }), /Invalid params/);
  await ask(agent, sessionId, "write again");
  assert.deepEqual(asked, ["t1", "t2"], "edits need no question any more");
  assert.ok(existsSync(path.join(cwd, "c.txt")));
  const last = scripted.requests.at(-1);
  assert.deepEqual([last.model, last.reasoning_effort], ["scripted-2", "high"]);
});

test("a turn is cancelled, and a conversation compacted by its command", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const long = "x".repeat(200);
  const steps = Array.from({ length: 12 }, (_, i) => calls([`t${i}`, "bash", { command: `seq 400 | sed s/$/${long}/; echo ${i}` }]));
  const scripted = await model([hangs("So"), ...steps, says("Done."), says("Still here.")]);
  t.after(scripted.stop);
  const agent = await start(t, { model: scripted, state, args: ["--permission-mode", "full"] });
  const { sessionId } = await agent.connection.newSession({ cwd, mcpServers: [] });
  const hanging = ask(agent, sessionId, "wait");
  while (text(agent.updates) === "") await new Promise((resolve) => setImmediate(resolve));
  await agent.connection.cancel({ sessionId });
  assert.equal((await hanging).stopReason, "cancelled");
  await ask(agent, sessionId, "count");
  const compacted = await ask(agent, sessionId, "/compact");
  assert.equal(compacted.stopReason, "end_turn");
  assert.match(text(agent.updates), /The conversation is compacted\.$/);
  await ask(agent, sessionId, "and?");
  const size = (request) => JSON.stringify(request.messages).length;
  const [before, after] = scripted.requests.slice(-2);
  assert.ok(size(after) < size(before) / 2, `${size(before)} to ${size(after)}`);
  const said = after.messages.filter((message) => message.role === "user").map((message) => message.content);
  for (const prompt of ["wait", "count", "and?"]) assert.ok(said.includes(prompt), prompt);
});

test("the SDK's own example client talks to it unchanged", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "glob", { pattern: "*" }]),
    says("Hello, client!"),
  ]);
  t.after(scripted.stop);
  // The example starts its agent with `npx tsx agent.ts`; here npx is the harness.
  const npx = path.join(state, "npx");
  writeFileSync(npx, `#!/bin/sh\nexec '${HARNESS}' acp\n`);
  chmodSync(npx, 0o755);
  const example = path.join(path.dirname(require.resolve("@agentclientprotocol/sdk")), "examples/client.js");
  const env = { ...environment(scripted, state), PATH: `${state}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)(process.execPath, [example], { cwd, env });
  assert.match(stdout, /Connected to agent \(protocol v1\)/);
  assert.match(stdout, /Find \*\s+\(in_progress\)/);
  assert.match(stdout, /Hello, client!/);
  assert.match(stdout, /Agent completed with: end_turn/);
});

test("files and commands go through a client that offers them", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(["t1", "read_file", { path: "a.txt" }]),
    calls(["t2", "edit_file", { path: "a.txt", old_text: "unsaved", new_text: "edited" }]),
    calls(["t3", "write_file", { path: "sub/b.txt", content: "new\n" }]),
    calls(["t4", "bash", { command: "echo $((6 * 7)); exit 3" }]),
    calls(["t5", "bash", { command: "sleep 1000", timeout_seconds: 1 }]),
    calls(["t6", "read_file", { path: "../secret" }]),
    says("Done."),
  ]);
  t.after(scripted.stop);
  writeFileSync(path.join(cwd, "a.txt"), "saved\n");
  const files = { "a.txt": "unsaved\n" };
  const terminals = new Map();
  const name = (file) => path.relative(cwd, file);
  const client = {
    readTextFile: async ({ path: file }) => ({ content: files[name(file)] }),
    writeTextFile: async ({ path: file, content }) => ((files[name(file)] = content), {}),
    createTerminal: async ({ command, args, cwd: place }) => {
      const child = spawn(command, args, { cwd: place, stdio: ["ignore", "pipe", "pipe"], detached: true });
      const terminal = { child, output: "", exited: once(child, "exit") };
      child.stdout.on("data", (piece) => (terminal.output += piece));
      child.stderr.on("data", (piece) => (terminal.output += piece));
      const terminalId = `terminal-${terminals.size}`;
      terminals.set(terminalId, terminal);
      return { terminalId };
    },
    terminalOutput: async ({ terminalId }) => ({ output: terminals.get(terminalId).output, truncated: false }),
    waitForTerminalExit: async ({ terminalId }) => {
      const [exitCode, signal] = await terminals.get(terminalId).exited;
      return { exitCode, signal };
    },
    killTerminal: async ({ terminalId }) => {
      process.kill(-terminals.get(terminalId).child.pid, "SIGKILL");
      await terminals.get(terminalId).exited;
      return {};
    },
    releaseTerminal: async ({ terminalId }) => ((terminals.get(terminalId).released = true), {}),
  };
  const capabilities = { fs: { readTextFile: true, writeTextFile: true }, terminal: true };
  const args = ["--permission-mode", "full"];
  const agent = await start(t, { model: scripted, state, args, client, capabilities });
  const { sessionId } = await agent.connection.newSession({ cwd, mcpServers: [] });
  await ask(agent, sessionId, "work");
  const results = scripted.requests.at(-1).messages.filter((message) => message.role === "tool");
  const [read, edited, written, ran, stopped, outside] = results.map((message) => message.content);
  assert.match(read, /unsaved/, "what the editor has not saved yet");
  assert.match(edited, /a\.txt/);
  assert.match(written, /created/);
  assert.deepEqual(files, { "a.txt": "edited\n", "sub/b.txt": "new\n" });
  assert.equal(readFileSync(path.join(cwd, "a.txt"), "utf8"), "saved\n", "saving is the editor's");
  assert.equal(ran, "42\n[exit code 3]");
  assert.match(stopped, /the time limit/);
  assert.match(outside, /outside the workspace/);
  assert.equal(terminals.size, 2);
  assert.ok([...terminals.values()].every((terminal) => terminal.released));
  const shown = agent.updates.filter((update) => update.toolCallId === "t4").flatMap((update) => update.content ?? []);
  assert.ok(shown.every((content) => content.type === "terminal" && content.terminalId === "terminal-0"));
});

test("calls that only look run at once, and results keep the calls' order", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const scripted = await model([
    calls(
      ["t1", "read_file", { path: "a.txt" }],
      ["t2", "read_file", { path: "b.txt" }],
      ["t3", "write_file", { path: "c.txt", content: "new\n" }],
      ["t4", "read_file", { path: "c.txt" }],
    ),
    says("Done."),
  ]);
  t.after(scripted.stop);
  for (const name of ["a.txt", "b.txt"]) writeFileSync(path.join(cwd, name), "on the disk\n");
  const [asked, files] = [[], { "a.txt": "first\n", "b.txt": "second\n" }];
  const { promise: both, resolve: second } = Promise.withResolvers();
  const client = {
    readTextFile: async ({ path: file }) => {
      const name = path.relative(cwd, file);
      asked.push(name);
      // The first read is answered only when the second has been asked for.
      if (name === "b.txt") second();
      if (name === "a.txt") await both;
      return { content: files[name] };
    },
    writeTextFile: async ({ path: file, content }) => ((files[path.relative(cwd, file)] = content), {}),
  };
  const capabilities = { fs: { readTextFile: true, writeTextFile: true } };
  const args = ["--permission-mode", "full"];
  const agent = await start(t, { model: scripted, state, args, client, capabilities });
  const { sessionId } = await agent.connection.newSession({ cwd, mcpServers: [] });
  await ask(agent, sessionId, "work");
  const results = scripted.requests.at(-1).messages.filter((message) => message.role === "tool");
  assert.deepEqual(results.map((message) => message.tool_call_id), ["t1", "t2", "t3", "t4"]);
  const [first, next, , last] = results.map((message) => message.content);
  assert.match(first, /first/);
  assert.match(next, /second/);
  assert.match(last, /new/);
  assert.deepEqual(asked.slice(0, 2).sort(), ["a.txt", "b.txt"]);
});
