// The command line of the local server, and the settings it passes on.

import { readFileSync } from "node:fs";
import path from "node:path";
import { SETTINGS } from "./bindings.mjs";

export const USAGE = `\
node scripts/server/main.mjs [options]

  --port N              port on 127.0.0.1; 0 (the default) takes a free one
  --state-dir DIR       where everything is kept (default .sam/server)
  --worker-dir DIR      the built Worker (default dist/worker)
  --web-dir DIR         the built web app (default dist/web); "none" serves the API alone
  --env-file FILE       settings, one NAME=value a line
  --var NAME=VALUE      one setting; repeatable; wins over the file and the environment
  --port-file FILE      writes the address there once it answers
  --exit-with-stdin     stops when stdin closes, so that it never outlives its parent
  --testing             lets tests fire cron at /cdn-cgi/handler/scheduled and, with
                        dist/worker-fault, reach /__fault/

Settings also come from the environment: ${SETTINGS.join(" ")}.
Exit codes: 0 stopped, 1 failed, 2 usage, 3 the port is busy, 4 the state directory is in use.
`;

/** A mistake of the caller, told with the usage. */
export class UsageError extends Error {}

const WITH_VALUE = ["port", "state-dir", "worker-dir", "web-dir", "env-file", "var", "port-file"];
const SWITCHES = ["exit-with-stdin", "testing", "help"];

/** Turns arguments into options; paths are relative to `root`. */
export function parseArguments(words, root, environment) {
  const given = { var: [] };
  for (let i = 0; i < words.length; i++) {
    const [flag, inline] = split(words[i], "=");
    const name = flag.replace(/^--/, "");
    if (flag.startsWith("--") && SWITCHES.includes(name) && inline === undefined) {
      given[name] = true;
    } else if (flag.startsWith("--") && WITH_VALUE.includes(name)) {
      const value = inline ?? words[++i];
      if (value === undefined) throw new UsageError(`${flag} needs a value`);
      if (name === "var") given.var.push(value);
      else given[name] = value;
    } else {
      throw new UsageError(`unknown option: ${words[i]}`);
    }
  }
  const port = Number(given.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UsageError(`--port must be a number from 0 to 65535, not ${given.port}`);
  }
  const resolve = (value, fallback) => path.resolve(value === undefined ? path.join(root, fallback) : value);
  return {
    help: given.help ?? false,
    port,
    stateDir: resolve(given["state-dir"], ".sam/server"),
    workerDir: resolve(given["worker-dir"], "dist/worker"),
    webDir: given["web-dir"] === "none" ? null : resolve(given["web-dir"], "dist/web"),
    portFile: given["port-file"] ? path.resolve(given["port-file"]) : null,
    exitWithStdin: given["exit-with-stdin"] ?? false,
    testing: given.testing ?? false,
    settings: settings(given, environment),
  };
}

function settings(given, environment) {
  const result = {};
  for (const name of SETTINGS) if (environment[name]) result[name] = environment[name];
  if (given["env-file"]) {
    let text;
    try {
      text = readFileSync(given["env-file"], "utf8");
    } catch (error) {
      throw new UsageError(`--env-file cannot be read: ${error.message}`);
    }
    for (const line of text.split("\n")) {
      if (line.trim() === "" || line.trim().startsWith("#")) continue;
      assign(result, line.trim(), given["env-file"]);
    }
  }
  for (const pair of given.var) assign(result, pair, "--var");
  return result;
}

function assign(target, pair, source) {
  const [name, value] = split(pair, "=");
  if (!/^[A-Z][A-Z0-9_]*$/.test(name) || value === undefined) {
    throw new UsageError(`${source}: expected NAME=value, found ${name}`);
  }
  target[name] = value;
}

function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
