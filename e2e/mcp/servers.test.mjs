// The harness with MCP servers, a scripted model and nobody watching.
// The programs must be built: `cargo xtask build native`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { HARNESS, environment, scratch } from "../acp/harness.mjs";
import { calls, model, says } from "../acp/model.mjs";
import { answer, serve } from "./server.mjs";

const MIB = 1024 * 1024;
const SERVER = fileURLToPath(new URL("./server.mjs", import.meta.url));
const names = (request) => request.tools.map((tool) => tool.function.name);
const results = (request) =>
  request.messages.filter((message) => message.role === "tool").map((message) => message.content);

/** Runs the harness on one prompt. */
async function run(t, scripted, words, env = {}) {
  const [cwd, state] = [scratch(t), scratch(t)];
  const child = spawn(HARNESS, ["run", "-p", "go on", ...words], {
    cwd,
    env: { ...environment(scripted, state), ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const [code] = await once(child, "close");
  return { code, stderr };
}

/** A configuration file with these servers. */
function config(t, mcpServers) {
  const file = path.join(scratch(t), "mcp.json");
  writeFileSync(file, JSON.stringify({ mcpServers }));
  return ["--mcp-config", file];
}

const program = (...tools) => ({ command: process.execPath, args: [SERVER, ...tools] });

test("tools of servers follow our own, in one order, as far as the profile goes", async (t) => {
  const platform = await serve(["get_task", "dispatch_task", "complete_task"]);
  t.after(platform.stop);
  const words = config(t, { zoo: program("b", "a"), ant: program("x") });
  const env = { SAM_MCP_URL: platform.url, SAM_MCP_TOKEN: "token-of-the-platform" };
  const offered = async (...more) => {
    const scripted = await model([
      calls(["t1", "sam__complete_task", { text: "done" }], ["t2", "zoo__a", { text: "one" }]),
      says("Done."),
    ]);
    t.after(scripted.stop);
    const { code, stderr } = await run(t, scripted, [...words, ...more], env);
    assert.equal(code, 0, stderr);
    assert.deepEqual(results(scripted.requests.at(-1)), ["complete_task: done", "a: one"]);
    const lists = scripted.requests.map((request) => JSON.stringify(request.tools));
    assert.equal(new Set(lists).size, 1, "the same bytes in every request");
    return names(scripted.requests[0]).filter((name) => name.includes("__"));
  };
  const others = ["ant__x", "zoo__a", "zoo__b"];
  assert.deepEqual(await offered(), ["sam__complete_task", "sam__get_task", ...others]);
  assert.deepEqual(await offered("--tool-profile", "orchestrate"), [
    "sam__complete_task",
    "sam__dispatch_task",
    "sam__get_task",
    ...others,
  ]);
  const [{ name, authorization }] = platform.seen;
  assert.deepEqual([name, authorization], ["complete_task", "Bearer token-of-the-platform"]);
});

test("a server that fails is an error of the call, and the work goes on", async (t) => {
  const scripted = await model([
    calls(["t1", "zoo__fail", { text: "x" }]),
    calls(["t2", "zoo__refuse", {}]),
    calls(["t3", "zoo__die", {}]),
    calls(["t4", "zoo__fail", { text: "y" }]),
    calls(["t5", "bash", { command: "echo still here" }]),
    says("Done."),
  ]);
  t.after(scripted.stop);
  const words = config(t, {
    zoo: program("fail", "refuse", "die"),
    gone: { url: "http://127.0.0.1:9/mcp" },
    missing: { command: "/nonexistent/server" },
  });
  const { code, stderr } = await run(t, scripted, words);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /MCP server gone: /);
  assert.match(stderr, /MCP server missing: .*cannot be started/);
  const [failed, refused, died, after, alive] = results(scripted.requests.at(-1));
  assert.equal(failed, "fail: x");
  assert.match(refused, /the MCP server zoo: .*not today/);
  assert.match(died, /^error: the MCP server zoo: /);
  assert.match(after, /^error: the MCP server zoo: /);
  assert.match(alive, /^still here/);
});

test("a reply without an end is an error of the call, in bounded memory", async (t) => {
  let sent = 0;
  const endless = createServer(async (request, response) => {
    if (request.method !== "POST") return response.writeHead(405).end();
    const message = JSON.parse(await text(request));
    const reply = answer(message, ["read"]);
    if (reply === undefined) return response.writeHead(202).end();
    response.writeHead(200, { "content-type": "application/json" });
    if (message.method !== "tools/call") return response.end(JSON.stringify(reply));
    const words = "word ".repeat(16 * 1024);
    const said = async function* () {
      yield '{"jsonrpc":"2.0","result":{"content":[{"type":"text","text":"';
      for (;;) {
        sent += words.length;
        yield words;
      }
    };
    await pipeline(said, response).catch(() => {});
  });
  endless.listen(0, "127.0.0.1");
  await once(endless, "listening");
  t.after(() => {
    endless.close();
    endless.closeAllConnections();
  });
  const scripted = await model([
    calls(["t1", "far__read", { text: "x" }]),
    calls(["t2", "bash", { command: "echo still here" }]),
    says("Done."),
  ]);
  t.after(scripted.stop);
  const far = { url: `http://127.0.0.1:${endless.address().port}/mcp` };
  const { code, stderr } = await run(t, scripted, config(t, { far }));
  assert.equal(code, 0, stderr);
  const [read, alive] = results(scripted.requests.at(-1));
  assert.match(read, /^error: the MCP server far: .*maximum size/);
  assert.match(alive, /^still here/);
  assert.ok(sent > 16 * MIB && sent < 64 * MIB, `${sent} bytes were sent`);
});

test("in ask mode a person decides about a server's tools, too", async (t) => {
  const scripted = await model([calls(["t1", "zoo__a", { text: "x" }]), says("Done.")]);
  t.after(scripted.stop);
  const env = { SAM_PERMISSION_MODE: "ask" };
  await run(t, scripted, config(t, { zoo: program("a") }), env);
  assert.match(results(scripted.requests.at(-1))[0], /nobody can be asked here/);
});

test("a server that is started learns nothing of the model's key", async (t) => {
  const [cwd, state] = [scratch(t), scratch(t)];
  const told = path.join(cwd, "told");
  const nosy = { command: "sh", args: ["-c", `env > ${told}`] };
  const env = environment({ url: "http://127.0.0.1:9/v1" }, state);
  const child = spawn(HARNESS, ["mcp", ...config(t, { nosy })], { cwd, env, stdio: "ignore" });
  const [code] = await once(child, "close");
  assert.equal(code, 1);
  const seen = readFileSync(told, "utf8");
  assert.match(seen, /PATH=/);
  assert.doesNotMatch(seen, /SAM_MODEL_KEY|key-of-the-scripted-model/);
});
