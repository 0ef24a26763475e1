// A coding agent that asks what the test wants it to ask. Each line of a prompt that is JSON is the
// parameters of a permission request, without the session; it says what it was answered. What is to be
// announced of the tool call first is its `announced`.

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
  const questions = prompt.split("\n").filter((line) => line.startsWith("{"));
  // All at once: what is asked in parallel is answered in any order.
  const ask_one = async (line) => say(`heard ${JSON.stringify(await ask(JSON.parse(line)))}\n\n`);
  await Promise.all(questions.map(ask_one));
  return { stopReason: cancelled ? "cancelled" : "end_turn" };
};

const mode = process.env.GOOSE_MODE;
const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: {} }),
  "session/new": () => ({
    sessionId: "one",
    modes: { currentModeId: mode, availableModes: [{ id: mode, name: mode }] },
  }),
  "session/prompt": ({ prompt }) => play(prompt.map((block) => block.text ?? "").join("")),
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
