// A model that says what a test tells it to: chat completions over a real
// socket, one reply of the script for each request.

import { once } from "node:events";
import http from "node:http";

/** A reply that is text. */
export const says = (text) => ({ text });
/** A reply that calls tools: `[id, name, arguments]` each. */
export const calls = (...tools) => ({ tools });
/** A reply whose end never comes. */
export const hangs = (text) => ({ text, hang: true });

/** Starts the model; `script` is answered in order, `requests` grows. */
export async function model(script) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    requests.push(JSON.parse(body));
    const reply = script[requests.length - 1] ?? says("There is nothing more in the script.");
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = (delta, more = {}) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, ...more }] })}\n\n`);
    if (reply.text) event({ content: reply.text });
    if (reply.hang) return;
    for (const [index, [id, name, input]] of (reply.tools ?? []).entries()) {
      const called = { name, arguments: JSON.stringify(input) };
      event({ tool_calls: [{ index, id, type: "function", function: called }] });
    }
    event({}, { finish_reason: reply.tools ? "tool_calls" : "stop" });
    const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
    response.write(`data: ${JSON.stringify({ choices: [], usage })}\n\n`);
    response.end("data: [DONE]\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    requests,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
