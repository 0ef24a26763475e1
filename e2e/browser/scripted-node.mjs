// A machine whose every word the test writes: it joins over HTTP, keeps the
// link over a WebSocket and stores rows as a vm-agent does. Tests use it to
// bring a conversation to any point, with any text in it.

import { createRequire } from "node:module";

import { until } from "./harness.mjs";

const require = createRequire(import.meta.url);
const { WebSocket } = createRequire(require.resolve("miniflare"))("ws");

let made = 0;

/** An id as a machine mints it. */
export function id(prefix) {
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  made += 1;
  let time = Date.now();
  let text = "";
  for (let i = 0; i < 10; i++) {
    text = alphabet[time % 32] + text;
    time = Math.floor(time / 32);
  }
  return `${prefix}_${text}${String(made).padStart(16, "0")}`;
}

export class ScriptedNode {
  #waiting = [];
  #next = 1;
  #n = 0;

  static async join(stack, name = "scripted") {
    const node = new ScriptedNode();
    node.stack = stack;
    node.store = `store-${name}`;
    const { token } = await stack.call("POST", "/api/nodes/join-tokens", {});
    const joined = await stack.call("POST", "/api/nodes/join", { store_id: node.store, name }, { token });
    node.id = joined.node;
    node.token = joined.token;
    await node.connect(name);
    return node;
  }

  async connect(name) {
    const address = `${this.stack.url.replace("http", "ws")}/api/nodes/${this.id}/link`;
    this.socket = new WebSocket(address, { headers: { authorization: `Bearer ${this.token}` } });
    let welcome = null;
    this.socket.on("message", (data) => {
      const frame = JSON.parse(data);
      if (frame.t === "welcome") {
        welcome = frame;
        this.#waiting.push(...frame.commands);
      }
      if (frame.t === "command") this.#waiting.push(frame);
    });
    await new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
    });
    this.send({
      t: "hello",
      protocol: 1,
      version: "scripted",
      store_id: this.store,
      boot_id: "boot-1",
      facts: {
        os: "linux",
        arch: "x86_64",
        hostname: name,
        cpus: 2,
        memory_bytes: 2 ** 32,
        disk_free_bytes: 2 ** 36,
        version: "scripted",
        agents: ["sam-harness", "goose"],
        max_workspaces: 64,
      },
      open_commands: [],
      next_event: this.#next,
    });
    await until("the welcome", () => welcome);
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  /** The next command, acknowledged. */
  async command(wanted) {
    const command = await until(`the command ${wanted}`, () => {
      const at = this.#waiting.findIndex((command) => command.do.action === wanted);
      return at >= 0 && this.#waiting.splice(at, 1)[0];
    });
    this.send({ t: "ack", command: command.id });
    return command;
  }

  /** Reports that something happened in a command's workspace. */
  report(command, event) {
    this.send({
      t: "event",
      n: this.#next++,
      workspace: command.workspace,
      attempt: command.attempt,
      at: Date.now(),
      event,
    });
  }

  /** Does a command: says what came of it, then that it is done. */
  async perform(action, outcome) {
    const command = await this.command(action);
    this.report(command, outcome(command.do));
    this.report(command, { event: "command_done", command: command.id });
    return command;
  }

  /** Brings a fresh task to its first running prompt. */
  async run() {
    const prepare = await this.perform("prepare_workspace", ({ branch }) => ({
      event: "workspace_ready",
      branch,
      base_commit: "0".repeat(40),
    }));
    await this.perform("start_agent", ({ agent_session }) => ({
      event: "agent_state",
      agent_session,
      state: { is: "ready" },
    }));
    const prompt = await this.command("prompt");
    this.report(prompt, { event: "prompt_started", prompt: prompt.do.prompt });
    const tokens = await this.stack.call(
      "POST",
      `/api/nodes/${this.id}/tokens`,
      { workspace: prepare.workspace },
      { token: this.token },
    );
    return {
      prompt,
      workspace: prepare.workspace,
      token: tokens.workspace_token,
      modelToken: tokens.model_token,
    };
  }

  /** Ends the agent's turn as it should end; `through` is the last row's number. */
  finish(run, through) {
    this.report(run.prompt, {
      event: "prompt_finished",
      prompt: run.prompt.do.prompt,
      stop_reason: { why: "end_turn" },
      rows_through: through,
    });
    this.report(run.prompt, { event: "command_done", command: run.prompt.id });
  }

  /** Stores rows of a running task. Each is `{kind, body, …}`; `id` and `rev` are minted where absent. */
  async rows(run, rows) {
    const made = rows.map((row) => ({
      n: ++this.#n,
      id: row.id ?? id("row"),
      rev: row.rev ?? 1,
      author: row.author ?? "agent",
      created_at: row.created_at ?? Date.now(),
      kind: row.kind,
      body: row.body,
    }));
    const answer = await this.stack.call("POST", `/api/workspaces/${run.workspace}/messages`, { rows: made }, { token: run.token });
    if (answer.outcomes.some((outcome) => outcome === "refused")) {
      throw new Error(`rows were refused: ${JSON.stringify(answer)}`);
    }
    return made;
  }

  close() {
    this.socket.close();
  }
}
