// The scripted gateway, checked by the official SDKs of OpenAI and Anthropic:
// what they read, raise and give back is what the protocols are, and not what
// we take them for.
//
// The programs must be built: `cargo xtask build native`.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { MODEL, clients, loop } from "./clients.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
const RELEASE = path.join(TARGET, "release");
const KEY = "key-of-the-scripted-gateway";

let gateway;
let url;
let openai;
let anthropic;
let dialects;

before(async () => {
  const options = ["gateway", "--key", KEY, "--chunk-delay-ms", "0", "--end-with-stdin"];
  gateway = spawn(path.join(RELEASE, "sam-sims"), options, { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(readline.createInterface({ input: gateway.stdout }), "line");
  url = JSON.parse(line).listening;
  ({ openai, anthropic, dialects } = clients({ openaiUrl: `${url}/v1`, anthropicUrl: url, key: KEY }));
});

after(async () => {
  gateway.stdin.end();
  await once(gateway, "exit");
});

beforeEach(() => fetch(`${url}/control/reset`, { method: "POST" }));

const fault = (body) =>
  fetch(`${url}/control/fault`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

for (const name of ["chat completions", "Responses", "Messages"]) {
  const open = () => dialects[name]();

  test(`${name}: streamed and whole are the same, and a tool loop comes to its end`, async () => {
    const talk = open();
    const called = await loop(talk, async () => {
      const whole = await talk.whole();
      const streamed = await talk.streamed();
      const seen = ({ text, calls, tokens }) => ({ text, calls, tokens });
      assert.deepEqual(seen(streamed), seen(whole));
      assert.ok(streamed.tokens > 0);
      return streamed;
    });
    assert.ok(called > 0, "it looked before it answered");
  });

  test(`${name}: refusals are raised for what they are`, async () => {
    const talk = open();
    const cases = [
      [{ kind: "rate_limit", retry_after: 7 }, 429],
      [{ kind: "status", status: 500 }, 500],
      [{ kind: "status", status: 529 }, 529],
    ];
    for (const [what, status] of cases) {
      await fault(what);
      const error = await talk.streamed().then(() => assert.fail("it was answered"), (error) => error);
      assert.equal(error.status, status);
      if (status === 429) {
        assert.match(error.constructor.name, /RateLimitError/);
        assert.equal(error.headers.get("retry-after"), "7");
      }
      if (name === "Messages") assert.equal(error.error.type, "error");
      else assert.equal(typeof error.error.message, "string");
    }
  });

  test(`${name}: a stream that fails or is cut raises`, async () => {
    const talk = open();
    await fault({ kind: "failure", after_chunks: 2, code: "overloaded_error" });
    await assert.rejects(async () => {
      const reply = await talk.streamed();
      // The SDK gives back a failed response instead of raising.
      assert.equal(reply.status, "completed");
    });
    await fault({ kind: "cut", after_chunks: 2 });
    await assert.rejects(talk.streamed());
  });
}

test("wrong keys, unknown models and malformed requests are raised for what they are", async () => {
  const wrong = { apiKey: "wrong", maxRetries: 0 };
  const strangers = [
    () => new OpenAI({ baseURL: `${url}/v1`, ...wrong }).models.list(),
    () => new Anthropic({ baseURL: url, ...wrong }).models.list(),
  ];
  const raises = (name) => (error) => name.test(error.constructor.name);
  for (const asked of strangers) await assert.rejects(async () => asked(), raises(/AuthenticationError/));
  const ask = [{ role: "user", content: "hi" }];
  const lost = [
    () => openai.chat.completions.create({ model: "gpt", messages: ask }),
    () => openai.responses.create({ model: "gpt", input: "hi" }),
    () => anthropic.messages.create({ model: "claude", max_tokens: 10, messages: ask }),
  ];
  for (const asked of lost) await assert.rejects(async () => asked(), raises(/NotFoundError/));
  const bad = [
    () => openai.chat.completions.create({ model: MODEL, messages: [] }),
    () => openai.responses.create({ model: MODEL, input: [] }),
    () => anthropic.messages.create({ model: MODEL, max_tokens: 10, messages: [] }),
  ];
  for (const asked of bad) await assert.rejects(async () => asked(), raises(/BadRequestError/));
});

test("models are listed in each one's form, and tokens are counted", async () => {
  assert.deepEqual((await openai.models.list()).data.map((model) => model.id), [MODEL]);
  assert.deepEqual((await anthropic.models.list()).data.map((model) => model.id), [MODEL]);
  const counted = await anthropic.messages.countTokens({ model: MODEL, messages: [{ role: "user", content: "Hello" }] });
  assert.equal(counted.input_tokens, 2);
});

test("behind AI Gateway's doors each provider is what its SDK takes it for, with that gateway's rules for keys", async () => {
  const base = `${url}/v1/acc/sam`;
  const messages = [{ role: "user", content: "Hello" }];
  const aig = { "cf-aig-authorization": `Bearer ${KEY}` };
  const at = (path, apiKey, defaultHeaders) =>
    new OpenAI({ baseURL: `${base}/${path}`, apiKey, defaultHeaders, maxRetries: 0 });
  // Unified billing: no key of the provider's at all.
  const billed = { ...aig, authorization: null };
  const doors = [
    [at("workers-ai/v1", KEY, aig), "@cf/google/gemma-4-26b-a4b-it"],
    [at("openai", "unused", billed), "gpt-4.1"],
    [at("compat", "unused", billed), "google-ai-studio/gemini-3.5-flash"],
  ];
  for (const [client, model] of doors) {
    const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    const reply = await stream.finalChatCompletion();
    assert.ok(reply.choices[0].message.content !== "" && reply.usage.total_tokens > 0, model);
  }
  const response = await doors[1][0].responses.create({ model: "gpt-4.1-mini", input: "Hello" });
  assert.equal(response.status, "completed");
  const claude = (apiKey, defaultHeaders) =>
    new Anthropic({ baseURL: `${base}/anthropic`, apiKey, defaultHeaders, maxRetries: 0 });
  const asked = { model: "claude-haiku-4-5", max_tokens: 100, messages };
  const unpaid = claude("unused", { ...aig, "x-api-key": null });
  const { data, response: raw } = await unpaid.messages.create(asked).withResponse();
  assert.equal(data.stop_reason, "end_turn");
  assert.match(raw.headers.get("cf-aig-log-id"), /^01LOG/);

  const chat = (client, model) => client.chat.completions.create({ model, messages });
  const refused = [
    () => chat(at("openai", KEY, {}), "gpt-4.1"),
    () => chat(at("openai", "sk-wrong", aig), "gpt-4.1"),
    () => chat(at("workers-ai/v1", "unused", billed), "@cf/google/gemma-4-26b-a4b-it"),
    () => claude("unused", { ...aig, "x-api-key": "sk-wrong" }).messages.create(asked),
  ];
  for (const [index, asking] of refused.entries()) {
    const error = await asking().then(() => assert.fail(`the refused ${index} was answered`), (error) => error);
    assert.match(error.constructor.name, /AuthenticationError/, `${index}: ${error}`);
  }
  await assert.rejects(chat(doors[0][0], "gpt-4.1"), (error) => error.status === 404);
});

test("our own agent repairs the sample in every dialect", async () => {
  for (const provider of ["chat", "responses", "messages"]) {
    const directory = mkdtempSync(path.join(os.tmpdir(), "sam-sdk-"));
    try {
      const work = path.join(directory, "work");
      const kept = (from) => path.basename(from) !== "node_modules";
      cpSync(path.join(ROOT, "demo/repository"), work, { recursive: true, filter: kept });
      const git = (...args) => execFileSync("git", args, { cwd: work, encoding: "utf8" });
      git("init", "--quiet");
      git("add", "--all");
      const options = [
        ...["run", "--prompt", "A test of this repository fails. Find the cause, fix the code and not the test."],
        ...["--dir", work, "--output", "json", "--provider", provider, "--effort", "high"],
        ...["--base-url", `${url}/v1`, "--model", MODEL],
      ];
      const env = { PATH: process.env.PATH, HOME: directory, SAM_MODEL_KEY: KEY };
      const { stdout } = await promisify(execFile)(path.join(RELEASE, "sam-harness"), options, { env });
      const result = JSON.parse(stdout);
      assert.equal(result.stop_reason, "end_turn");
      assert.ok(result.usage.output > 0 && result.tool_calls > 0);
      assert.match(git("diff", "--stat"), /1 file changed, 1 insertion\(\+\), 1 deletion/);
      const seen = await (await fetch(`${url}/control/requests?bodies=false`)).json();
      assert.ok(seen.requests.every((request) => request.outcome === "complete"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
});
