// What passes through the proxy passes byte for byte, both ways, where client
// and upstream speak alike: fields, headers, events, comments and errors that
// nobody here knows. The upstream is a socket that keeps what it was sent and
// answers with what the test wrote down.
//
// The programs must be built: `cargo xtask build all`.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { Stack } from "../browser/harness.mjs";
import { ScriptedNode } from "../browser/scripted-node.mjs";

/** Spaces, number forms, order and escapes that no JSON library would give back. */
const odd = (fields) => `{ "model" : "m",  ${fields} "stream":true , "zz_unknown":{"a":1.50,"b":[ 1e2,"\\u00e4\\/"]},"n_ull":null }`;

const DIALECTS = {
  "chat completions": {
    path: "/ai/v1/chat/completions",
    upstream: "/v1/chat/completions",
    // What asks for the usage itself is not edited.
    request: odd('"messages":[ {"role":"user","content":"hi"} ], "stream_options":{"include_usage":true , "x":1.0},'),
    headers: { "openai-beta": "odd=v2" },
    reply: [
      ": a comment\n\n",
      'data: {"id":"c","x_unknown":1.50,"choices":[{"index":0,"delta":{"content":"h\\u0069"},"finish_reason":null}]}\n\n',
      'event: of-its-own\ndata: {"odd" : true}\nid: 7\nretry: 10\n\n',
      'data: {"error":{"message":"half-way","type":"server_error","code":"odd"}}\n\n',
      'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\ndata: [DONE]\n\n',
    ],
  },
  Responses: {
    path: "/ai/v1/responses?q=%20x",
    upstream: "/v1/responses?q=%20x",
    request: odd('"input":"hi", "max_output_tokens":5.0,'),
    headers: { "openai-beta": "responses=odd" },
    reply: [
      'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r","odd":1.50}}\n\n',
      'event: response.of_its_own\r\ndata: {"type":"response.of_its_own" }\r\n\r\n',
      'event: error\ndata: {"type":"error","code":"odd","message":"half-way","param":null,"sequence_number":2}\n\n',
      'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}\n\n',
    ],
  },
  Messages: {
    path: "/ai/anthropic/v1/messages?beta=true",
    upstream: "/v1/messages?beta=true",
    request: odd('"max_tokens":5, "messages":[{"role":"user","content":"hi","cache_control":{"type":"odd"}}],'),
    headers: { "anthropic-version": "2099-01-01", "anthropic-beta": "one-2099,two-2099" },
    reply: [
      'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1},"odd":1.50}}\n\n',
      'event: ping\ndata: {"type": "ping"}\n\n',
      'event: of_its_own\ndata: {"type":"of_its_own"}\n\n',
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"half-way"}}\n\n',
      'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":2}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    ],
  },
};

test("where client and upstream speak alike, bytes pass both ways", async (t) => {
  let seen;
  let reply;
  const upstream = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== "POST") return response.writeHead(404).end();
    seen = { url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
    response.writeHead(200, { "content-type": "text/event-stream", "x-of-its-own": "odd", "request-id": "req_odd" });
    for (const piece of reply) {
      // Cut where no event ends.
      response.write(piece.slice(0, 9));
      await new Promise((done) => setImmediate(done));
      response.write(piece.slice(9));
    }
    response.end();
  });
  await new Promise((ready) => upstream.listen(0, "127.0.0.1", ready));
  t.after(() => upstream.close());
  const stack = await Stack.start({
    settings: {
      SAM_MODEL_URL: `http://127.0.0.1:${upstream.address().port}/v1`,
      SAM_MODEL_DIALECTS: "chat,responses,messages",
    },
  });
  t.after(() => stack.stop());
  const node = await ScriptedNode.join(stack);
  await stack.submit(await stack.project(), "hello");
  const { modelToken } = await node.run();

  for (const [name, dialect] of Object.entries(DIALECTS)) {
    await t.test(name, async () => {
      reply = dialect.reply;
      const answer = await fetch(`${stack.url}${dialect.path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${modelToken}`, "content-type": "application/json", ...dialect.headers },
        body: dialect.request,
      });
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), dialect.reply.join(""));
      assert.equal(seen.body, dialect.request);
      assert.equal(seen.url, dialect.upstream);
      for (const [header, value] of Object.entries(dialect.headers)) assert.equal(seen.headers[header], value);
      assert.equal(answer.headers.get("x-of-its-own"), "odd");
      assert.equal(answer.headers.get("request-id"), "req_odd");
      assert.ok(!JSON.stringify(seen.headers).includes(modelToken), "the client's token stays here");
    });
  }

  await t.test("an error is the upstream's own", async () => {
    const refusal = '{"type" : "error","error":{"type":"odd_error","message":"no","extra":1.50}}';
    upstream.removeAllListeners("request");
    upstream.on("request", (_, response) => {
      response.writeHead(418, { "content-type": "application/json", "x-should-retry": "false" });
      response.end(refusal);
    });
    for (const dialect of Object.values(DIALECTS)) {
      const answer = await fetch(`${stack.url}${dialect.path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${modelToken}`, "content-type": "application/json", ...dialect.headers },
        body: dialect.request,
      });
      assert.equal(answer.status, 418);
      assert.equal(answer.headers.get("x-should-retry"), "false");
      assert.equal(await answer.text(), refusal);
    }
  });
});
