// The state directory: its lock, its secrets, and the guard that lets nothing
// outlive the server.
//
//   secrets.json   SAM_SECRET and SAM_CLAIM_TOKEN, made once, mode 0600
//   claim-token    the claim token alone, mode 0600, for the person to read
//   server.lock    pid of the server that uses the directory
//   workerd.pid    pid of the runtime it supervises; workerd.pid.N the same, of
//                  the server with pid N, for that server's guard alone
//   tmp/           scratch files, emptied at every start
//   v3/            what miniflare and wrangler keep: do, d1, kv, r2

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Another server uses the directory. */
export class InUse extends Error {}

/** Takes the directory for this process; returns how to give it back. */
export function takeStateDirectory(directory) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = path.join(directory, "server.lock");
  const take = () => writeFileSync(lock, `${process.pid}\n`, { flag: "wx" });
  try {
    take();
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const holder = Number(readFileSync(lock, "utf8"));
    if (isServer(holder)) {
      throw new InUse(`${directory} is in use by the server with pid ${holder}; stop it, or choose another --state-dir`);
    }
    rmSync(lock, { force: true });
    take();
  }
  return () => rmSync(lock, { force: true });
}

function isServer(pid) {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
  // A pid may have been given to another program since.
  const commandLine = `/proc/${pid}/cmdline`;
  if (!existsSync(commandLine)) return true;
  return readFileSync(commandLine, "utf8").includes("server/main.mjs");
}

/** The installation's secrets; made at the first start and kept. */
export function secrets(directory) {
  const file = path.join(directory, "secrets.json");
  if (!existsSync(file)) {
    const made = {
      SAM_SECRET: randomBytes(32).toString("base64url"),
      SAM_CLAIM_TOKEN: `sam_claim_${randomBytes(24).toString("base64url")}`,
    };
    writePrivate(file, `${JSON.stringify(made, null, 2)}\n`);
  }
  const kept = JSON.parse(readFileSync(file, "utf8"));
  const claimTokenFile = path.join(directory, "claim-token");
  writePrivate(claimTokenFile, `${kept.SAM_CLAIM_TOKEN}\n`);
  return { values: kept, claimTokenFile };
}

/** Writes a file that only its owner may read, whole or not at all. */
export function writePrivate(file, content) {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, content, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, file);
}

/**
 * Starts a shell that waits for this process to end, however it ends, and then
 * kills its runtime. It ignores the signals of a terminal, which reach the whole
 * process group, and looks again for two seconds, because a runtime may have been
 * starting when the server died. It looks at this server's own pid file, since
 * the next server may be up by then. Returns how to dismiss it.
 */
export function guardRuntime(pidFile) {
  const script = `trap '' INT TERM HUP
trap 'rm -f "$1"' EXIT
while read -r line; do [ "$line" = dismissed ] && exit 0; done
killed=
for _ in 1 2 3 4 5 6 7 8 9 10; do
  pid=$(cat "$1" 2>/dev/null)
  if [ -n "$pid" ] && [ "$pid" != "$killed" ]; then
    kill -9 "$pid" 2>/dev/null
    killed=$pid
  fi
  sleep 0.2
done`;
  const guard = spawn("sh", ["-c", script, "sam-runtime-guard", `${pidFile}.${process.pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.unref();
  guard.stdin.unref?.();
  guard.stdin.on("error", () => {});
  return () =>
    new Promise((resolve) => {
      guard.once("exit", resolve);
      guard.stdin.end("dismissed\n");
    });
}
