// A coding agent that does nothing but speak: as much as it is told, or with the time in its words.

import { createInterface } from "node:readline";

const line = (message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`;
const update = (update) => line({ method: "session/update", params: { sessionId: "one", update } });
const text = (text) => ({ type: "text", text });
const words = (messageId, said) => update({ sessionUpdate: "agent_message_chunk", messageId, content: text(said) });

/** Ten pieces of a message, and a tool call that begins and ends: twelve updates, two rows. */
const round = (number) => [
  ...Array.from({ length: 10 }, (_, piece) => words(`m${number}`, `piece ${piece} of message ${number}\n`)),
  update({ sessionUpdate: "tool_call", toolCallId: `t${number}`, title: "Read a file", kind: "read", status: "in_progress" }),
  update({
    sessionUpdate: "tool_call_update",
    toolCallId: `t${number}`,
    status: "completed",
    content: [{ type: "content", content: text("a line\n".repeat(20)) }],
  }),
];

/** Waits until what was written is taken. */
const write = (lines) => new Promise((resolve) => process.stdout.write(lines.join(""), resolve));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let spoken = 0;
const steps = {
  /** Rounds, as fast as they are taken or with this many milliseconds for ten of them. */
  rounds: async ({ count, pace = 0 }) => {
    const begun = performance.now();
    for (let number = 0; number < count; number += 1) {
      await write(round((spoken += 1)));
      const ahead = begun + (pace * number) / 10 - performance.now();
      if (ahead > 1) await pause(ahead);
    }
    await write([words("end", "all is said")]);
  },
  clock: async ({ times, every }) => {
    spoken += 1;
    for (let time = 0; time < times; time += 1) {
      await pause(every);
      // Microseconds since 1970.
      const now = Math.round((performance.timeOrigin + performance.now()) * 1000);
      await write([words(`c${spoken}`, `<${now}>`)]);
    }
  },
  say: (said) => write([words(`s${(spoken += 1)}`, said)]),
};

const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: {} }),
  "session/new": () => ({ sessionId: "one" }),
  "session/prompt": async ({ prompt }) => {
    const asked = prompt.map((block) => block.text ?? "").join("");
    for (const [name, argument] of Object.entries(JSON.parse(asked.slice(asked.indexOf("{"))))) {
      await steps[name](argument);
    }
    return { stopReason: "end_turn" };
  },
};

for await (const asked of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(asked);
  if (id !== undefined && answers[method]) await write([line({ id, result: await answers[method](params) })]);
}
