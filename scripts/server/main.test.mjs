// The local server as a process, with a small Worker in place of the real one:
// what it prints, what it keeps, and that nothing survives it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("main.mjs", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "sam-server-test-"));
const workerDir = path.join(scratch, "worker");
const webDir = path.join(scratch, "web");
const running = new Set();

mkdirSync(workerDir);
mkdirSync(webDir);
writeFileSync(path.join(webDir, "index.html"), "the app");
writeFileSync(path.join(workerDir, "index_bg.wasm"), Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
writeFileSync(
  path.join(workerDir, "index.js"),
  `import { DurableObject } from "cloudflare:workers";
export class ProjectData extends DurableObject {
  async fetch() {
    const n = ((await this.ctx.storage.get("n")) ?? 0) + 1;
    await this.ctx.storage.put("n", n);
    return new Response(String(n));
  }
}
export class TaskRunner extends DurableObject {}
export class NodeLifecycle extends DurableObject {}
export class NodePool extends DurableObject {}
export class Budget extends DurableObject {}
export class DeviceFlow extends DurableObject {}
export class RateLimit extends DurableObject {}
export class SubscriptionLogin extends DurableObject {}
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/count") return env.PROJECT_DATA.get(env.PROJECT_DATA.idFromName("a")).fetch(request);
    if (pathname === "/api/tables") return Response.json((await env.DB.prepare("SELECT name FROM d1_migrations").all()).results);
    return Response.json({ path: pathname, secret: env.SAM_SECRET.length, model: env.SAM_MODEL ?? null });
  },
};`,
);

after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});

/** Starts a server; resolves to its first line, or to its exit. */
async function start(stateName, ...words) {
  const stateDir = path.join(scratch, stateName);
  const child = spawn(
    process.execPath,
    [MAIN, "--state-dir", stateDir, "--worker-dir", workerDir, "--web-dir", webDir, ...words],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  running.add(child);
  let stderr = "";
  child.stderr.on("data", (data) => (stderr += data));
  const exit = once(child, "exit").then(([code, signal]) => {
    running.delete(child);
    return { code, signal };
  });
  const line = once(createInterface(child.stdout), "line").then(([text]) => JSON.parse(text));
  const first = await Promise.race([line, exit]);
  return { child, exit, stateDir, stderr: () => stderr, ...first };
}

async function until(what, condition) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (!existsSync("/proc/self/stat")) return true;
  try {
    // A zombie waits for a reaper and runs nothing.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};
/** Whether the environment or the arguments of any other process name this directory. */
const someoneNames = (directory) =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid && isAlive(Number(entry)))
    .some((pid) =>
      ["cmdline", "environ"].some((file) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(directory);
        } catch {
          return false;
        }
      }),
    );
const runtimePid = (stateDir) => Number(readFileSync(path.join(stateDir, "workerd.pid"), "utf8"));
const text = async (url) => (await fetch(url)).text();

test("serves the Worker and the app, keeps secrets and state, and stops when asked", async () => {
  const server = await start("kept", "--var", "SAM_MODEL=small");
  assert.deepEqual(await (await fetch(`${server.listening}/api/x`)).json(), { path: "/api/x", secret: 43, model: "small" });
  assert.equal(await text(`${server.listening}/deep/page`), "the app");
  assert.equal(await text(`${server.listening}/healthz`).then((body) => JSON.parse(body).path), "/healthz");
  assert.match(await text(`${server.listening}/api/tables`), /0001_/);
  assert.equal(await text(`${server.listening}/api/count`), "1");
  // What applies the migrations answers nobody else.
  const asked = { method: "POST", headers: { "MF-Route-Override": "sam-database" }, body: '[["SELECT 1"]]' };
  const refused = await fetch(server.listening, asked);
  assert.deepEqual([refused.status, await refused.text()], [404, ""]);
  const token = readFileSync(server.claim_token_file, "utf8");
  assert.match(token, /^sam_claim_[\w-]{32}\n$/);
  assert.equal(statSync(server.claim_token_file).mode & 0o777, 0o600);
  assert.equal(statSync(path.join(server.stateDir, "secrets.json")).mode & 0o777, 0o600);
  const runtime = runtimePid(server.stateDir);
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exit, { code: 0, signal: null });
  assert.equal(isAlive(runtime), false);

  const again = await start("kept");
  assert.equal(await text(`${again.listening}/api/count`), "2");
  assert.equal(readFileSync(again.claim_token_file, "utf8"), token);
  again.child.kill("SIGINT");
  assert.deepEqual(await again.exit, { code: 0, signal: null });
});

test("a runtime that dies is started again on the same port with the same state", async () => {
  const server = await start("restart");
  assert.equal(await text(`${server.listening}/api/count`), "1");
  const runtime = runtimePid(server.stateDir);
  process.kill(runtime, "SIGKILL");
  await until("the runtime is dead", () => !isAlive(runtime));
  const count = await until("it answers again", () => text(`${server.listening}/api/count`).catch(() => null));
  assert.equal(count, "2");
  await until("it says so", () => server.stderr().includes("died and was started again"));
  server.child.kill("SIGTERM");
  await server.exit;
});

test("nothing survives the server, however it ends", async () => {
  const killed = await start("killed");
  const runtime = runtimePid(killed.stateDir);
  killed.child.kill("SIGKILL");
  await until("the runtime is gone", () => !isAlive(runtime));

  // The worst moment: while a runtime that died is being started again.
  const restarting = await start("restarting");
  process.kill(runtimePid(restarting.stateDir), "SIGKILL");
  await until("the runtime is dead", () => !isAlive(runtimePid(restarting.stateDir)));
  restarting.child.kill("SIGKILL");
  await restarting.exit;
  await until("nothing of it runs", () => !existsSync("/proc") || !someoneNames(restarting.stateDir));

  const orphaned = await start("orphaned", "--exit-with-stdin");
  const second = runtimePid(orphaned.stateDir);
  orphaned.child.stdin.end();
  assert.deepEqual(await orphaned.exit, { code: 0, signal: null });
  assert.equal(isAlive(second), false);
});

test("what stands in the way is named, each with its own exit code", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const busy = await start("busy", "--port", String(other.address().port));
  assert.equal(busy.code, 3);
  assert.match(busy.stderr(), /port \d+ is in use/);
  other.close();

  const first = await start("taken");
  const second = await start("taken");
  assert.equal(second.code, 4);
  assert.match(second.stderr(), /in use by the server with pid/);
  first.child.kill("SIGTERM");
  await first.exit;

  const usage = await start("usage", "--nonsense");
  assert.equal(usage.code, 2);
  const missing = await start("missing", "--worker-dir", path.join(scratch, "nowhere"));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr(), /build it with `cargo xtask build worker`/);
});
