// The whole product on one machine: the Worker with D1, KV, R2, Durable
// Objects and the web app on one origin, 127.0.0.1:PORT.
//
// stdout carries one JSON line once everything answers:
//   {"listening":"http://127.0.0.1:PORT","claim_token_file":"…","pid":…}
// Everything else goes to stderr. If the runtime dies it is started again on
// the same port with the same state. Whatever ends this process ends the
// runtime too.

import * as modules from "node:module";
import { createServer } from "node:net";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { ASSETS, COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, CRON, CRON_EVERY_MS, D1, DURABLE_OBJECTS, KV, R2, WORKER_PATHS } from "./bindings.mjs";
import { DatabaseWorker, migrate } from "./migrations.mjs";
import { parseArguments, USAGE, UsageError } from "./options.mjs";
import { guardRuntime, InUse, secrets, takeStateDirectory, writePrivate } from "./state.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../..");
const HOST = "127.0.0.1";

class PortBusy extends Error {}

const say = (message) => process.stderr.write(`sam server: ${message}\n`);

async function refuseBusyPort(port) {
  if (port === 0) return;
  await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) =>
      reject(
        error.code === "EADDRINUSE"
          ? new PortBusy(`port ${port} is in use by another program; choose another with --port, or --port 0 for any free one`)
          : error,
      ),
    );
    probe.listen({ host: HOST, port, exclusive: true }, () => probe.close(resolve));
  });
}

function requireBuild(directory, file, how) {
  if (!existsSync(path.join(directory, file))) {
    throw new Error(`${path.join(directory, file)} is missing; build it with ${how}`);
  }
}

function workerPaths({ webDir, testing }) {
  if (!webDir) return ["/*"];
  return testing ? [...WORKER_PATHS, "/__fault/*"] : WORKER_PATHS;
}

function miniflareOptions(options, values, database, { Log, LogLevel }) {
  class StderrLog extends Log {
    log(message) {
      process.stderr.write(`${message}\n`);
    }
  }
  const persist = (kind) => path.join(options.stateDir, "v3", kind);
  const shared = {
    host: HOST,
    port: options.port,
    log: new StderrLog(LogLevel.WARN),
    logRequests: false,
    // No look-ups of the outside world: no request metadata, no telemetry.
    cf: false,
    telemetry: { enabled: false },
    durableObjectsPersist: persist("do"),
    d1Persist: persist("d1"),
    kvPersist: persist("kv"),
    r2Persist: persist("r2"),
    unsafeTriggerHandlers: options.testing,
    handleRuntimeStdio(stdout, stderr) {
      stdout.pipe(process.stderr, { end: false });
      stderr.pipe(process.stderr, { end: false });
    },
    unsafeHandleRuntimeRestart() {
      say("the runtime died and was started again with the same state");
    },
  };
  const product = {
    name: "sam",
    modulesRoot: options.workerDir,
    modules: [
      { type: "ESModule", path: path.join(options.workerDir, "index.js") },
      { type: "CompiledWasm", path: path.join(options.workerDir, "index_bg.wasm") },
    ],
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: COMPATIBILITY_FLAGS,
    bindings: values,
    durableObjects: Object.fromEntries(
      Object.entries(DURABLE_OBJECTS).map(([binding, className]) => [binding, { className, useSQLite: true }]),
    ),
    d1Databases: { [D1.binding]: D1.name },
    kvNamespaces: { [KV.binding]: KV.name },
    r2Buckets: { [R2.binding]: R2.name },
    assets: {
      // Without the web app: what the Worker itself hands out.
      directory: options.webDir ?? path.join(options.workerDir, "assets"),
      binding: ASSETS.binding,
      workerName: "sam",
      routerConfig: {
        has_user_worker: true,
        static_routing: { user_worker: workerPaths(options) },
      },
      assetConfig: { not_found_handling: options.webDir ? "single-page-application" : "none" },
    },
  };
  const migrator = database.options({ compatibilityDate: COMPATIBILITY_DATE, d1Databases: { DB: D1.name } });
  // The first answers whatever comes.
  return { ...shared, workers: [product, migrator] };
}

async function serve(options) {
  requireBuild(options.workerDir, "index.js", "`cargo xtask build worker`");
  if (options.webDir) requireBuild(options.webDir, "index.html", "`cargo xtask build web`");
  const giveBack = takeStateDirectory(options.stateDir);
  await refuseBusyPort(options.port).catch((error) => {
    giveBack();
    throw error;
  });
  const { values, claimTokenFile } = secrets(options.stateDir);

  // Scratch files go where the next start finds and removes them.
  const scratch = path.join(options.stateDir, "tmp");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  process.env.TMPDIR = scratch;

  // miniflare looks for its runtime when it is loaded.
  const require = modules.createRequire(import.meta.url);
  const pidFile = path.join(options.stateDir, "workerd.pid");
  process.env.SAM_SERVER_PID = String(process.pid);
  process.env.SAM_WORKERD_PID_FILE = pidFile;
  process.env.SAM_WORKERD = modules.createRequire(require.resolve("miniflare"))("workerd").default;
  process.env.MINIFLARE_WORKERD_PATH = path.join(HERE, "workerd.sh");
  // miniflare is megabytes of JavaScript; compiled once, it starts quicker ever after.
  modules.enableCompileCache?.(path.join(ROOT, "node_modules/.cache/sam-server"));
  const library = await import("miniflare");

  const dismissGuard = guardRuntime(pidFile);
  const database = new DatabaseWorker();
  const miniflare = new library.Miniflare(
    miniflareOptions(options, { ...values, ...options.settings }, database, library),
  );

  const removeScratch = () => {
    try {
      // The runtime may be writing its last.
      rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
    } catch (error) {
      say(`${scratch} is left for the next start: ${error.message}`);
    }
  };
  let stopping = null;
  const stop = (why) => {
    stopping ??= (async () => {
      clearInterval(cron);
      say(`stopping (${why})`);
      await miniflare.dispose().catch((error) => say(`while stopping: ${error.message}`));
      await dismissGuard();
      removeScratch();
      // A restart of the runtime that was under way may make its folder after this.
      process.once("exit", removeScratch);
      rmSync(pidFile, { force: true });
      giveBack();
    })();
    return stopping;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // miniflare would exit at once, without giving the directory back.
    process.removeAllListeners(signal);
    process.on(signal, () => stop(signal).then(() => process.exit(0)));
  }
  if (options.exitWithStdin) {
    process.stdin.resume();
    process.stdin.on("error", () => {});
    process.stdin.on("close", () => stop("stdin closed").then(() => process.exit(0)));
  }

  // miniflare has no clock of its own for this.
  const cron = setInterval(() => {
    miniflare
      .getWorker("sam")
      .then((worker) => worker.scheduled({ cron: CRON }))
      .catch((error) => say(`the schedule: ${error.message}`));
  }, CRON_EVERY_MS);
  cron.unref();

  try {
    const url = new URL(await miniflare.ready);
    const applied = await migrate(database.statements(miniflare), path.join(ROOT, "migrations"));
    if (applied.length > 0) say(`applied ${applied.join(", ")}`);
    if (options.portFile) writePrivate(options.portFile, `${url.origin}\n`);
    process.stdout.write(
      `${JSON.stringify({ listening: url.origin, claim_token_file: claimTokenFile, pid: process.pid })}\n`,
    );
    modules.flushCompileCache?.();
  } catch (error) {
    await stop("it did not start");
    throw error;
  }
}

const EXIT_CODES = [
  [UsageError, 2],
  [PortBusy, 3],
  [InUse, 4],
];

try {
  const options = parseArguments(process.argv.slice(2), ROOT, process.env);
  if (options.help) process.stdout.write(USAGE);
  else await serve(options);
} catch (error) {
  say(error.message);
  if (error instanceof UsageError) process.stderr.write(`\n${USAGE}`);
  process.exitCode = EXIT_CODES.find(([type]) => error instanceof type)?.[1] ?? 1;
  // A runtime half started must not keep the process alive.
  setImmediate(() => process.exit());
}
