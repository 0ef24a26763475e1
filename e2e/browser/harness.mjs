// The real product for browser tests: scripted model, control plane, machines,
// Chromium. Everything started here is stopped by its own process id.
//
// The programs must be built: `cargo xtask build all`.

import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const RELEASE = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "release");
const MODEL_KEY = "key-of-the-scripted-gateway";
/** The secret of the app at GitHub's stand-in. */
export const GITHUB_SECRET = "secret-of-the-stand-in";
const STARTS_WITHIN = 60_000;

/** How long a condition may take to come true. */
export const PATIENCE = 60_000;

/** Waits until `probe` answers something true, and answers that. */
export async function until(what, probe, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${patience} ms for: ${what}${last ? ` (last: ${last.message})` : ""}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

/** Waits until `read` answers `expected`; says what it answered last where it does not. */
export async function becomes(what, read, expected) {
  let last;
  try {
    await until(what, async () => {
      last = await read();
      return last === expected;
    });
  } catch {
    assert.equal(last, expected, what);
  }
}

/** A program with its output, stopped by its process id. */
class Program {
  constructor(name, command, args, { env = process.env, stdin = "ignore" } = {}) {
    this.name = name;
    this.said = "";
    this.child = spawn(command, args, { env, stdio: [stdin, "pipe", "pipe"], cwd: ROOT });
    this.ended = new Promise((resolve) => {
      this.child.once("exit", resolve);
      this.child.once("error", (error) => {
        this.said += error.message;
        resolve();
      });
    });
    this.out = "";
    this.child.stdout.on("data", (data) => {
      this.out += data;
    });
    this.child.stderr.on("data", (data) => {
      this.said = (this.said + data).slice(-20_000);
    });
  }

  get alive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The first line of stdout, as JSON. */
  async firstLine() {
    const line = await until(
      `${this.name} to start; it said: ${this.said}`,
      () => {
        if (!this.alive) throw new Error(`${this.name} ended: ${this.said}`);
        return this.out.includes("\n") && this.out.split("\n")[0];
      },
      STARTS_WITHIN,
    );
    return JSON.parse(line);
  }

  async stop(signal = "SIGTERM") {
    if (!this.alive) return;
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(late);
  }
}

function built(file, how) {
  if (!existsSync(file)) throw new Error(`${file} is missing; make it with ${how}`);
  return file;
}

/** A built native program. */
export const native = (name) => built(path.join(RELEASE, name), "cargo xtask build native");

function git(directory, ...args) {
  return execFileSync("git", args, {
    cwd: directory,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "Test",
      GIT_AUTHOR_EMAIL: "test@example.invalid",
      GIT_COMMITTER_NAME: "Test",
      GIT_COMMITTER_EMAIL: "test@example.invalid",
    },
  }).trim();
}

/** A port nobody listens on just now. */
export async function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen({ host: "127.0.0.1", port: 0 }, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** A running product. */
export class Stack {
  #programs = [];
  #browser = null;

  /**
   * Starts the scripted model and the control plane; `claim: false` leaves it
   * unclaimed, `settings` are added to its own, `github` puts a stand-in where
   * GitHub is; `"unset"` leaves its app to be set up.
   */
  static async start({ claim = true, settings = {}, github = false } = {}) {
    const stack = new Stack();
    stack.settings = { ...settings };
    try {
      stack.directory = mkdtempSync(path.join(os.tmpdir(), "sam-browser-"));
      await stack.#startGateway();
      if (github) await stack.#startGithub(github !== "unset");
      await stack.startServer();
      if (claim) await stack.claim();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  async #startGateway() {
    const args = ["gateway", "--port", "0", "--key", MODEL_KEY, "--chunk-delay-ms", "10"];
    this.gateway = new Program("gateway", native("sam-sims"), args);
    this.#programs.push(this.gateway);
    this.gatewayUrl = (await this.gateway.firstLine()).listening;
  }

  async #startGithub(set) {
    const secret = GITHUB_SECRET;
    const env = { ...process.env, SAM_SIMS_GITHUB_SECRET: secret };
    const program = new Program("github", native("sam-sims"), ["github", "--client-id", "sam-app"], { env });
    this.#programs.push(program);
    this.githubUrl = (await program.firstLine()).listening;
    Object.assign(this.settings, {
      ...(set && { SAM_GITHUB_CLIENT_ID: "sam-app", SAM_GITHUB_CLIENT_SECRET: secret }),
      SAM_GITHUB_URL: this.githubUrl,
      SAM_GITHUB_API_URL: this.githubUrl,
    });
  }

  /** Makes the stand-in of GitHub say that this person is there. */
  async is(person) {
    const response = await fetch(`${this.githubUrl}/control/person`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(person),
    });
    if (!response.ok) throw new Error(`person: ${response.status} ${await response.text()}`);
  }

  /** Starts the control plane on a free port, again on the same one with the same state. */
  async startServer() {
    const args = [
      path.join(ROOT, "scripts/server/main.mjs"),
      ...["--port", this.url ? new URL(this.url).port : "0", "--exit-with-stdin"],
      ...["--state-dir", path.join(this.directory, "server")],
      ...["--worker-dir", path.dirname(built(path.join(ROOT, "dist/worker/index.js"), "cargo xtask build worker"))],
      ...["--web-dir", path.dirname(built(path.join(ROOT, "dist/web/index.html"), "cargo xtask build web"))],
      ...["--var", `SAM_MODEL_URL=${this.gatewayUrl}/v1`],
      ...["--var", `SAM_MODEL_KEY=${MODEL_KEY}`],
      ...["--var", "SAM_MODEL=scripted", "--var", "SAM_MODEL_KIND=scripted"],
      ...Object.entries(this.settings).flatMap(([name, value]) => ["--var", `${name}=${value}`]),
    ];
    this.server = new Program("server", process.execPath, args, { stdin: "pipe" });
    this.#programs.push(this.server);
    const said = await this.server.firstLine();
    this.url = said.listening;
    this.claimToken = readFileSync(said.claim_token_file, "utf8").trim();
  }

  /** Stops the control plane as a crash does, and waits until it is gone. */
  async killServer() {
    await this.server.stop("SIGKILL");
    await until("the port to be free", async () => {
      try {
        await fetch(`${this.url}/healthz`);
        return false;
      } catch {
        return true;
      }
    });
  }

  /** Kills the runtime under the control plane, which starts it again. */
  async killRuntime() {
    const file = path.join(this.directory, "server/workerd.pid");
    const pid = Number(readFileSync(file, "utf8").trim());
    process.kill(pid, "SIGKILL");
    await until("another runtime", async () => {
      const now = Number(readFileSync(file, "utf8").trim());
      return now !== pid && (await fetch(`${this.url}/healthz`)).ok;
    });
  }

  async claim() {
    const answer = await this.call("POST", "/api/setup/claim", { claim_token: this.claimToken });
    this.token = answer.token;
  }

  /** Calls the API as the admin, or with another token. */
  async call(method, where, body, { token = this.token, key } = {}) {
    const response = await fetch(this.url + where, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key && { "idempotency-key": key }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  /** A project over a bare copy of the sample repository. */
  async project(name = "harbour-books") {
    const work = path.join(this.directory, `${name}-first`);
    cpSync(path.join(ROOT, "demo/repository"), work, {
      recursive: true,
      filter: (from) => path.basename(from) !== "node_modules",
    });
    git(work, "init", "--quiet", "--initial-branch=main");
    git(work, "add", "--all");
    git(work, "commit", "--quiet", "--message", "First");
    const repository = path.join(this.directory, `${name}.git`);
    git(this.directory, "clone", "--quiet", "--bare", work, repository);
    const project = await this.call("POST", "/api/projects", { repository, name }, { key: `project-${name}` });
    return { ...project, repository };
  }

  /** What git says in a bare repository. */
  git(repository, ...args) {
    return git(repository, ...args);
  }

  /** A real machine: the vm-agent, joined and ready. */
  async machine(name = "workbench") {
    const { token } = await this.call("POST", "/api/nodes/join-tokens", {});
    const home = path.join(this.directory, `${name}-home`);
    mkdirSync(home);
    const args = [
      "run",
      ...["--url", this.url, "--state-dir", path.join(this.directory, name)],
      ...["--agent-path", RELEASE, "--name", name],
    ];
    const program = new Program("vm-agent", native("sam-vm-agent"), args, {
      env: { PATH: process.env.PATH, HOME: home, SAM_JOIN_TOKEN: token },
    });
    // Machines stop before what they speak to.
    this.#programs.push(program);
    await until(`the machine to be ready; it said: ${program.said}`, async () => {
      const { nodes } = await this.call("GET", "/api/nodes");
      return nodes.find((node) => node.name === name && node.state === "ready");
    });
    return program;
  }

  /** Makes the scripted model misbehave in a coming request. */
  async fault(fault) {
    const response = await fetch(`${this.gatewayUrl}/control/fault`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(fault),
    });
    if (!response.ok) throw new Error(`fault: ${response.status} ${await response.text()}`);
  }

  /** Lets what a fault holds go on. */
  async release() {
    await fetch(`${this.gatewayUrl}/control/release`, { method: "POST" });
  }

  /** Submits a task over the API. */
  async submit(project, prompt, rest = {}) {
    const body = { prompt, ...rest };
    return this.call("POST", `/api/projects/${project.id}/tasks`, body, { key: crypto.randomUUID() });
  }

  /** Waits for a task to be in one of these states. */
  async taskState(task, ...wanted) {
    return until(
      `task ${task} to be ${wanted.join(" or ")}`,
      async () => {
        const view = await this.call("GET", `/api/tasks/${task}`);
        return wanted.includes(view.state) && view;
      },
      60_000,
    );
  }

  async browser() {
    this.#browser ??= await chromium.launch({
      executablePath: process.env.SAM_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        ...["--disable-component-update", "--disable-sync"],
      ],
    });
    return this.#browser;
  }

  /**
   * A page of a fresh browser profile, signed in by link unless told otherwise.
   * `page.complaints` collects console errors, uncaught errors and requests to
   * anywhere else; but no console error about an address with a part that is in
   * `page.refused`.
   */
  async page({ signedIn = true, width = 1280, height = 860, scheme = "dark", origin = this.url } = {}) {
    const browser = await this.browser();
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    page.complaints = [];
    page.refused = [];
    page.on("console", (message) => {
      const { url } = message.location();
      if (page.refused.some((part) => url.includes(part))) return;
      if (["error", "warning"].includes(message.type())) {
        page.complaints.push(`${message.type()}: ${message.text()} ${url}`);
      }
    });
    page.on("pageerror", (error) => page.complaints.push(`uncaught: ${error.message}`));
    page.on("request", (request) => {
      const target = new URL(request.url());
      if (target.protocol.startsWith("http") && target.origin !== origin) {
        page.complaints.push(`request to ${request.url()}`);
      }
    });
    if (signedIn) {
      const link = await this.call("POST", "/api/auth/sign-in-links", {});
      await page.goto(link.url);
      await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    }
    return page;
  }

  /** Stops everything, in the reverse order of starting. */
  async stop() {
    await this.#browser?.close().catch(() => {});
    for (const program of this.#programs.reverse()) await program.stop();
    if (this.directory) rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The address of a conversation. */
export const conversation = (project, session) => `/projects/${project.id ?? project}/sessions/${session}`;

/** The conversation's part of the page, as HTML without the renderer's markers. */
export async function transcript(page) {
  // The Markdown parser comes with the first message; until then text is plain.
  await page.locator(".prose .plain").first().waitFor({ state: "detached" });
  const html = await page.locator("[data-part=conversation]").evaluate((part) => part.outerHTML);
  return html.replaceAll(/<!--.*?-->/gs, "");
}

/** The panes that scroll sideways, each with what sticks out of it. */
export async function sideways(page) {
  return page.evaluate(() => {
    const panes = [document.documentElement, ...document.querySelectorAll(".pane, .list-pane, .entries, .scroll")];
    return panes
      .filter((pane) => pane.scrollWidth > pane.clientWidth)
      .map((pane) => {
        const edge = pane.getBoundingClientRect().right;
        const out = [...pane.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > edge + 1);
        const name = (one) => `${one.tagName.toLowerCase()}.${one.getAttribute("class") ?? ""}`;
        return `${name(pane)} by ${pane.scrollWidth - pane.clientWidth} px: ${out.slice(0, 3).map(name).join(", ")}`;
      });
  });
}

/** What axe finds wrong on the page, one line each. */
export async function axe(page) {
  const source = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  // Not through a script element: the page's own policy refuses what is inline.
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")} ${node.failureSummary ?? ""}`),
  );
}
