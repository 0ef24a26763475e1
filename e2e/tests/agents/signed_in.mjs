// A coding agent that is signed in by its own login file, and says what it finds: of its file, of its
// environment, and what the resource at the address in the prompt makes of its token.
// `lives URL` answers at once; `until N URL` when the token it finds is at least the Nth.

import { readFileSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { createInterface } from "node:readline";
import { join } from "node:path";

const file = join(process.env.HOME, ".codex/auth.json");
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const say = (text) => {
  const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text } };
  send({ method: "session/update", params: { sessionId: "one", update } });
};

const look = async (url) => {
  const { tokens, ...rest } = JSON.parse(readFileSync(file, "utf8"));
  const answer = await fetch(url, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  return {
    status: answer.status,
    generation: answer.ok ? (await answer.json()).generation : -1,
    mode: (statSync(file).mode & 0o777).toString(8),
    refresh_token: tokens.refresh_token,
    account_id: tokens.account_id,
    members: Object.keys(rest).sort(),
    variables: Object.keys(process.env).filter((name) => /KEY|TOKEN|SECRET|SAM_MODEL/.test(name)),
    config: JSON.parse(process.env.CODEX_CONFIG ?? "{}"),
  };
};

const play = async (prompt) => {
  const [, until, url] = /(?:lives|until (\d+)) (http\S+)/.exec(prompt);
  let found = await look(url);
  while (found.generation < Number(until ?? 0)) {
    await pause(200);
    found = await look(url);
  }
  say(JSON.stringify(found));
  return { stopReason: "end_turn" };
};

const mode = process.env.INITIAL_AGENT_MODE;
const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: {} }),
  "session/new": () => ({
    sessionId: "one",
    modes: { currentModeId: mode, availableModes: [{ id: mode, name: mode }] },
  }),
  "session/prompt": ({ prompt }) => play(prompt.map((block) => block.text ?? "").join("")),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined && answers[method]) {
    Promise.resolve(answers[method](params)).then((result) => send({ id, result }));
  }
}
