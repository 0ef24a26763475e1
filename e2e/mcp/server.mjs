// An MCP server of a few lines, over stdio or HTTP, that shares no code with
// the client under test.
//
// As a program: node server.mjs NAME…, with the tools of these names.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The answer to one message; none for a notification. */
export function answer(message, tools, called = () => {}) {
  const result = (value) => ({ jsonrpc: "2.0", id: message.id, result: value });
  const { method, params } = message;
  if (method === "initialize") {
    const { protocolVersion } = params;
    const serverInfo = { name: "few-lines", version: "1" };
    return result({ protocolVersion, capabilities: { tools: {} }, serverInfo });
  }
  if (method === "tools/list") {
    const inputSchema = { type: "object", properties: { text: { type: "string" } } };
    return result({ tools: tools.map((name) => ({ name, description: `Does ${name}.`, inputSchema })) });
  }
  if (method === "tools/call") {
    called(params);
    if (params.name === "die") process.exit(3);
    if (params.name === "refuse") {
      return { jsonrpc: "2.0", id: message.id, error: { code: -32000, message: "not today" } };
    }
    const text = `${params.name}: ${params.arguments.text}`;
    return result({ content: [{ type: "text", text }], isError: params.name === "fail" });
  }
  return message.id === undefined ? undefined : result({});
}

/** A server on a free port; `seen` gets its calls and the headers they came with. */
export async function serve(tools) {
  const seen = [];
  const server = createServer(async (request, response) => {
    if (request.method !== "POST") return response.writeHead(405).end();
    let body = "";
    for await (const chunk of request) body += chunk;
    const message = JSON.parse(body);
    const note = (params) => seen.push({ ...params, authorization: request.headers.authorization });
    const reply = answer(message, tools, note);
    if (reply === undefined) return response.writeHead(202).end();
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, seen, stop };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = answer(JSON.parse(line), process.argv.slice(2));
    if (reply !== undefined) process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}
