// The built harness under a client that is not ours, with everything it says
// checked on the way.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

import * as acp from "@agentclientprotocol/sdk";

import { Checker } from "./schema.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
export const HARNESS = process.env.SAM_HARNESS ?? path.join(TARGET, "release/sam-harness");

/** A directory that is gone when the test is over. */
export function scratch(t) {
  const directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), "sam-acp-")));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The environment of a harness that asks this model. */
export const environment = (model, state) => ({
  PATH: process.env.PATH,
  HOME: state,
  XDG_STATE_HOME: state,
  SAM_MODEL_URL: model.url,
  SAM_MODEL_KEY: "key-of-the-scripted-model",
  SAM_MODEL: "scripted",
});

/** Passes lines on, each shown to `see` first. */
function tap(see) {
  const stream = new PassThrough();
  let rest = "";
  stream.on("data", (piece) => {
    rest += piece;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.trim()) see(line);
  });
  return stream;
}

/** Starts `sam-harness acp` under the SDK's client. `client` answers what the agent asks. */
export async function start(t, { model, state, args = [], client = {}, capabilities = {} }) {
  const child = spawn(HARNESS, ["acp", ...args], {
    env: { ...environment(model, state), SAM_FURTHER_MODELS: "scripted-2" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const checker = new Checker();
  const wrong = [];
  const said = tap((line) => {
    try {
      checker.fromAgent(line);
    } catch (error) {
      wrong.push(error);
    }
  });
  const told = tap((line) => checker.fromClient(line));
  told.pipe(child.stdin);
  child.stdout.pipe(said);
  const updates = [];
  const connection = new acp.ClientSideConnection(
    () => ({
      sessionUpdate: async ({ update }) => void updates.push(update),
      requestPermission: async () => ({ outcome: { outcome: "cancelled" } }),
      ...client,
    }),
    acp.ndJsonStream(Writable.toWeb(told), Readable.toWeb(said)),
  );
  const info = await connection.initialize({
    protocolVersion: acp.PROTOCOL_VERSION,
    clientCapabilities: capabilities,
  });
  let ended = false;
  const stop = async () => {
    if (ended) return;
    ended = true;
    child.stdin.end();
    await exited;
    if (wrong.length > 0) throw wrong[0];
  };
  t.after(stop);
  return { connection, info, updates, checker, child, exited, stop };
}

/** Prompts with a text. */
export const ask = (agent, sessionId, text) =>
  agent.connection.prompt({ sessionId, prompt: [{ type: "text", text }] });

/** What was said, piece by piece put together. */
export const text = (updates, kind = "agent_message_chunk") =>
  updates.filter((update) => update.sessionUpdate === kind).map((update) => update.content.text).join("");
