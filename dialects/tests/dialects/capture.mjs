// Records the requests of real agents for `captured/`.
//
//   node capture.mjs AGENT PROGRAM      AGENT: claude-code, codex, opencode, goose-chat, goose-messages
//
// It plays the model: the first reply calls the agent's shell twice at once, and where the agent can
// look at pictures its tool for that, too; the second ends the turn. The last request that had tools is written to
// `captured/AGENT.json` without what is long, of this machine, or of this moment: instructions and
// descriptions are replaced by a mark, tools that were not called are left out unless they are of
// a kind of their own, paths, ids and dates are made up. What the `trimmed` field says was done.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const MODEL = "test-model";
const WORDS = "Make a file made.txt that says hello, and look at dot.png.";
const THOUGHT = "I make the file.";
// One red pixel.
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

/** How each agent is started, and which of its tools do what. */
const AGENTS = {
  "claude-code": {
    dialect: "messages",
    calls: (at) => [
      ["Bash", { command: "echo hello > made.txt", description: "make a file" }],
      ["Bash", { command: "ls", description: "list" }],
      ["Read", { file_path: path.join(at, "dot.png") }],
    ],
    start: (origin) => ({
      arguments: ["-p", "--output-format", "json", "--dangerously-skip-permissions", WORDS],
      env: {
        ANTHROPIC_BASE_URL: origin,
        ANTHROPIC_API_KEY: "key",
        ANTHROPIC_MODEL: "claude-sonnet-4-5",
        ANTHROPIC_SMALL_FAST_MODEL: "claude-sonnet-4-5",
        MAX_THINKING_TOKENS: "31999",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        IS_SANDBOX: "1",
      },
    }),
  },
  codex: {
    dialect: "responses",
    calls: (at) => [
      ["exec_command", { cmd: "echo hello > made.txt" }],
      ["exec_command", { cmd: "ls" }],
      ["view_image", { path: path.join(at, "dot.png") }],
    ],
    start: (origin) => ({
      arguments: [
        ...["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"],
        ...["-c", 'model_provider="x"', "-c", `model="${MODEL}"`],
        ...["-c", `model_providers.x={name="x",base_url="${origin}/v1",wire_api="responses",env_key="KEY"}`, WORDS],
      ],
      env: { KEY: "key" },
    }),
  },
  opencode: {
    dialect: "chat",
    calls: (at) => [
      ["bash", { command: "echo hello > made.txt", description: "make a file" }],
      ["bash", { command: "ls", description: "list" }],
      ["read", { filePath: path.join(at, "dot.png") }],
    ],
    start: (origin) => ({
      arguments: ["run", "--model", `x/${MODEL}`, WORDS],
      env: {
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
        OPENCODE_CONFIG_CONTENT: JSON.stringify({
          provider: {
            x: {
              npm: "@ai-sdk/openai-compatible",
              options: { baseURL: `${origin}/v1`, apiKey: "key" },
              models: { [MODEL]: { name: MODEL, attachment: true, modalities: { input: ["text", "image"], output: ["text"] } } },
            },
          },
        }),
      },
    }),
  },
  "goose-chat": goose("chat", (origin) => ({ GOOSE_PROVIDER: "openai", OPENAI_HOST: origin, OPENAI_API_KEY: "key" })),
  "goose-messages": goose("messages", (origin) => ({
    GOOSE_PROVIDER: "anthropic",
    ANTHROPIC_HOST: origin,
    ANTHROPIC_API_KEY: "key",
  })),
};

function goose(dialect, env) {
  return {
    dialect,
    calls: () => [
      ["shell", { command: "echo hello > made.txt" }],
      ["shell", { command: "ls" }],
    ],
    start: (origin) => ({
      arguments: ["run", "--no-session", "--with-builtin", "developer", "--text", WORDS],
      env: { ...env(origin), GOOSE_MODEL: MODEL, GOOSE_DISABLE_KEYRING: "1", GOOSE_MODE: "auto" },
    }),
  };
}

const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const usage = { input_tokens: 10, output_tokens: 5 };

/** The reply that makes these calls, or none: a stream in each dialect. */
const REPLIES = {
  chat(calls) {
    const chunk = (delta, reason = null) =>
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: MODEL, choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
    const said = calls.length ? { role: "assistant", reasoning_content: THOUGHT } : { role: "assistant", content: "Done." };
    const made = calls.map(([name, input], index) =>
      chunk({ tool_calls: [{ index, id: `call_${index + 1}`, type: "function", function: { name, arguments: JSON.stringify(input) } }] }),
    );
    const total = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    const last = `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: MODEL, choices: [], usage: total })}\n\n`;
    return [chunk(said), ...made, chunk({}, calls.length ? "tool_calls" : "stop"), last, "data: [DONE]\n\n"].join("");
  },
  responses(calls) {
    const items = calls.map(([name, input], index) => ({
      type: "function_call",
      status: "completed",
      id: `fc_${index + 1}`,
      name,
      arguments: JSON.stringify(input),
      call_id: `call_${index + 1}`,
    }));
    const thought = { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: THOUGHT }], encrypted_content: "b3BhcXVl" };
    const message = { type: "message", status: "completed", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "Done.", annotations: [] }] };
    const output = calls.length ? [thought, ...items] : [message];
    const response = { id: "resp_1", object: "response", model: MODEL, status: "completed", output, usage: { ...usage, total_tokens: 15 } };
    return [
      event({ type: "response.created", response: { ...response, status: "in_progress", output: [] } }),
      ...output.flatMap((item, output_index) => [
        event({ type: "response.output_item.added", output_index, item }),
        event({ type: "response.output_item.done", output_index, item }),
      ]),
      event({ type: "response.completed", response }),
    ].join("");
  },
  messages(calls) {
    const blocks = calls.length
      ? [
          { type: "thinking", thinking: THOUGHT, signature: "c2lnbmF0dXJl" },
          ...calls.map(([name, input], index) => ({ type: "tool_use", id: `toolu_${index + 1}`, name, input })),
        ]
      : [{ type: "text", text: "Done." }];
    const delta = (block) => {
      if (block.type === "text") return [{ type: "text_delta", text: block.text }];
      if (block.type === "tool_use") return [{ type: "input_json_delta", partial_json: JSON.stringify(block.input) }];
      return [
        { type: "thinking_delta", thinking: block.thinking },
        { type: "signature_delta", signature: block.signature },
      ];
    };
    const empty = (block) =>
      block.type === "text" ? { type: "text", text: "" } : block.type === "tool_use" ? { ...block, input: {} } : { type: "thinking", thinking: "", signature: "" };
    return [
      event({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: MODEL, content: [], stop_reason: null, stop_sequence: null, usage } }),
      ...blocks.flatMap((block, index) => [
        event({ type: "content_block_start", index, content_block: empty(block) }),
        ...delta(block).map((delta) => event({ type: "content_block_delta", index, delta })),
        event({ type: "content_block_stop", index }),
      ]),
      event({ type: "message_delta", delta: { stop_reason: calls.length ? "tool_use" : "end_turn", stop_sequence: null }, usage }),
      event({ type: "message_stop" }),
    ].join("");
  },
};

const ENDPOINTS = { "/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages" };
const KEPT_HEADERS = ["accept", "content-type", "anthropic-beta", "anthropic-version", "openai-beta"];

const [name, program] = process.argv.slice(2);
const agent = AGENTS[name];
if (!agent || !program) {
  console.error(`usage: node capture.mjs ${Object.keys(AGENTS).join("|")} PROGRAM`);
  process.exit(2);
}
const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "sam-capture-")));
const [home, at] = [path.join(folder, "home"), path.join(folder, "repository")];
mkdirSync(home);
mkdirSync(at);
writeFileSync(path.join(at, "dot.png"), Buffer.from(PICTURE, "base64"));

let last;
const called = new Set();
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const text = Buffer.concat(chunks).toString();
    const dialect = ENDPOINTS[new URL(request.url, "http://x").pathname];
    if (!dialect) {
      response.writeHead(404, { "content-type": "application/json" });
      return response.end('{"error":{"message":"not here","type":"not_found_error"}}');
    }
    const body = JSON.parse(text);
    const offers = (body.tools ?? []).length > 0;
    const answered = /"(tool_result|function_call_output)"|"role":"tool"/.test(text);
    let calls = [];
    if (offers && !answered) calls = agent.calls(at);
    if (offers) last = { url: request.url, headers: request.headers, body };
    for (const [tool] of calls) called.add(tool);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(REPLIES[dialect](calls));
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${server.address().port}`;
const { arguments: args, env } = agent.start(origin);
const child = spawn(program, args, {
  cwd: at,
  env: { PATH: process.env.PATH, HOME: home, ...env },
  stdio: ["ignore", "inherit", "inherit"],
});
const code = await new Promise((ended) => child.on("exit", ended));
server.close();
server.closeAllConnections();
rmSync(folder, { recursive: true });
if (!last) {
  console.error(`${program} ended with ${code} and asked nothing`);
  process.exit(1);
}

/** Texts without what is long, of this machine, or of this moment. */
function scrub(value, key) {
  if (Array.isArray(value)) return value.map((item) => scrub(item));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, scrub(value, key)]));
  }
  if (typeof value !== "string") return value;
  if (key === "data" || key === "url" || key === "image_url" || key === "arguments") return plain(value);
  if (key === "user_id" || key === "prompt_cache_key" || key === "session_id") return "[an id]";
  const tag = /^\s*<([a-z][\w -]*)[^>]*>/.exec(value);
  if (tag) return `<${tag[1]}>[…]</${tag[1]}>`;
  return value.length > 400 ? "[instructions]" : plain(value);
}

function plain(text) {
  return text
    .replaceAll(at, "/repository")
    .replaceAll(home, "/home/agent")
    .replaceAll(folder, "/")
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "00000000-0000-4000-8000-000000000000")
    .replace(/\b20\d\d-\d\d-\d\d(T[\d:.]+Z?)?/g, "2026-01-01")
    .replace(/\d\d:\d\d:\d\d/g, "00:00:00")
    .replace(/Chunk ID: \w+/g, "Chunk ID: 000000")
    .replace(/Wall time: [\d.]+/g, "Wall time: 0.0000")
    .replace(/\d+ tokens left/g, "1000 tokens left");
}

/** A schema without what it says of itself. */
function bare(value, inProperties = false) {
  if (Array.isArray(value)) return value.map((item) => bare(item));
  if (!value || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([key]) => inProperties || key !== "description");
  return Object.fromEntries(kept.map(([key, value]) => [key, bare(value, key === "properties" && !inProperties)]));
}

function tool(offered) {
  const inner = offered.function ?? offered;
  const short = { ...inner };
  if (short.description !== undefined) short.description = "[…]";
  for (const schema of ["input_schema", "parameters"]) if (short[schema]) short[schema] = bare(short[schema]);
  if (short.tools) short.tools = short.tools.slice(0, 1).map(tool);
  if (short.format?.definition) short.format = { ...short.format, definition: "[…]" };
  return offered.function ? { ...offered, function: short } : short;
}

/** Those that were called, and one of each kind that is not a plain function. */
function tools(offered) {
  const kinds = new Set();
  return offered
    .filter((it) => {
      const name = it.function?.name ?? it.name;
      const kind = `${it.type} ${it.defer_loading ?? false}`;
      const odd = (it.type !== undefined && it.type !== "function") || it.defer_loading;
      if (called.has(name) && !odd) return true;
      if (!odd || kinds.has(kind)) return false;
      kinds.add(kind);
      return true;
    })
    .map(tool);
}

const { tools: offered, ...rest } = last.body;
const headers = Object.fromEntries(Object.entries(last.headers).filter(([name]) => KEPT_HEADERS.includes(name)));
const said = execFileSync(program, ["--version"], { encoding: "utf8" });
const record = {
  agent: `${name.startsWith("goose") ? "goose" : name} ${/\d+(\.\d+)+/.exec(said)[0]}`,
  dialect: agent.dialect,
  trimmed: "Instructions, descriptions and reminders are marks; tools that were not called are left out; paths, ids and dates are made up.",
  path: last.url,
  headers,
  body: { ...scrub(rest), tools: tools(offered) },
};
const file = path.join(HERE, "captured", `${name}.json`);
writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
console.error(`wrote ${file}`);
