// A coding agent that asks what the test wants it to ask. Each line of a prompt that is JSON is the
// parameters of a permission request, without the session; it says what it was answered. What is to be
// announced of the tool call first is its `announced`. A line with `person` is asked of the person,
// through the tool that the host offers; one with `stop` is how the turn ends, and with `always` each
// turn from then on.

import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const say = (text) => {
  const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text } };
  send({ method: "session/update", params: { sessionId: "one", update } });
};

/** The requests that wait, by id: how to go on. */
const waiting = new Map();
let asked = 0;
let cancelled = false;
/** MCP servers that the host named. */
let servers = [];
/** How each turn ends. */
let always = "end_turn";

/** Calls the host's tool, and returns what it said. */
const ask_person = async (question) => {
  const [{ url, headers }] = servers;
  const params = { name: "request_human_input", arguments: question };
  const told = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...Object.fromEntries(headers.map(({ name, value }) => [name, value])) },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  return (await told.json()).result.content[0].text;
};

const ask = ({ announced, ...params }) =>
  new Promise((resolve) => {
    if (announced) {
      const update = { sessionUpdate: "tool_call", ...announced };
      send({ method: "session/update", params: { sessionId: "one", update } });
    }
    asked += 1;
    const id = `ask-${asked}`;
    waiting.set(id, resolve);
    send({ id, method: "session/request_permission", params: { sessionId: "one", ...params } });
  });

const play = async (prompt) => {
  cancelled = false;
  const lines = prompt.split("\n").filter((line) => line.startsWith("{"));
  const steps = lines.map((line) => JSON.parse(line));
  const ends = steps.find((step) => step.stop);
  if (ends?.always) always = ends.stop;
  for (const { person } of steps.filter((step) => step.person)) say(`${await ask_person(person)}\n\n`);
  // All at once: what is asked in parallel is answered in any order.
  const ask_one = async (step) => say(`heard ${JSON.stringify(await ask(step))}\n\n`);
  await Promise.all(steps.filter((step) => !step.person && !step.stop).map(ask_one));
  return { stopReason: cancelled ? "cancelled" : (ends?.stop ?? always) };
};

const mode = process.env.GOOSE_MODE;
const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: { mcpCapabilities: { http: true } } }),
  "session/new": ({ mcpServers }) => {
    servers = mcpServers;
    return { sessionId: "one", modes: { currentModeId: mode, availableModes: [{ id: mode, name: mode }] } };
  },
  // What was said before comes first, and is not to be done again.
  "session/prompt": ({ prompt }) => play(prompt.at(-1)?.text ?? ""),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params, result, error } = JSON.parse(line);
  if (method === "session/cancel") cancelled = true;
  if (method === undefined) {
    waiting.get(id)?.(result?.outcome ?? { refused: error?.code });
    waiting.delete(id);
  } else if (id !== undefined && answers[method]) {
    Promise.resolve(answers[method](params)).then((result) => send({ id, result }));
  }
}
