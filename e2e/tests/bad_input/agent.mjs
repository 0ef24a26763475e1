// A coding agent whose every word the test writes. A prompt is a line for people and then, line by
// line, what the agent does, as JSON; whatever is none is passed over.

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const update = (update) => send({ method: "session/update", params: { sessionId: "one", update } });
const say = (text) => update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } });

const steps = {
  /** Writes a file, its name given as base64 of its bytes. */
  write: ([name, text]) => {
    const path = Buffer.from(name, "base64");
    mkdirSync(dirname(path.toString()), { recursive: true });
    writeFileSync(path, text);
  },
  /** Says what it was told: how many bytes, and their SHA-256. */
  heard: (_, prompt) => {
    const bytes = Buffer.from(prompt);
    say(`heard ${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}\n`);
  },
  say,
  /** A tool call that prints `bytes` bytes between its first and its last line. */
  print: ({ id, bytes }) => {
    const filler = "ü0123456789abcde\n";
    const text = `the first line\n${filler.repeat(bytes / Buffer.byteLength(filler))}the last line`;
    const content = [{ type: "content", content: { type: "text", text } }];
    update({ sessionUpdate: "tool_call", toolCallId: id, title: id, kind: "execute", status: "in_progress" });
    update({ sessionUpdate: "tool_call_update", toolCallId: id, status: "completed", content });
  },
  /** Writes these bytes, given as base64, as a line; `times` says how often the middle one stands there. */
  raw: ({ before, middle = "", times = 1, after = "" }) => {
    const bytes = (text) => Buffer.from(text, "base64");
    const filler = Buffer.alloc(bytes(middle).length * times, bytes(middle));
    process.stdout.write(Buffer.concat([bytes(before), filler, bytes(after), Buffer.from("\n")]));
  },
};

const play = (prompt) => {
  for (const line of prompt.split("\n")) {
    if (!line.startsWith("{")) continue;
    for (const [name, argument] of Object.entries(JSON.parse(line))) steps[name](argument, prompt);
  }
};

const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: {} }),
  "session/new": () => ({ sessionId: "one" }),
  "session/prompt": ({ prompt }) => {
    play(prompt.map((block) => block.text ?? "").join(""));
    return { stopReason: "end_turn" };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined && answers[method]) send({ id, result: answers[method](params) });
}
