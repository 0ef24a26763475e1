// What `scripts/objects` prints: the actors in the objects' SQLite files.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const DEFAULT_STATE = path.join(ROOT, ".sam/demo");

/** Every actor below a state directory: {object, key, value}. */
export function actors(stateDirectory) {
  const found = [];
  for (const file of databases(stateDirectory)) {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const has = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'actors'").get();
      if (!has) continue;
      const object = path.basename(path.dirname(file)).replace(/^.*-/, "");
      for (const { key, value } of database.prepare("SELECT key, value FROM actors").all()) {
        found.push({ object, key, value: JSON.parse(value) });
      }
    } finally {
      database.close();
    }
  }
  return found.sort((a, b) => (a.object + a.key).localeCompare(b.object + b.key));
}

function databases(stateDirectory) {
  const files = [];
  for (const below of ["v3/do", "server/v3/do"]) {
    const folder = path.join(stateDirectory, below);
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith(".sqlite")) files.push(path.join(entry.parentPath, entry.name));
    }
  }
  if (files.length === 0) {
    throw new Error(`${stateDirectory} holds no objects; --state-dir names the folder the server keeps everything in`);
  }
  return files;
}

/** One line: which machine, its state's word, when it wakes, what it owes. */
export function line({ object, key, value }) {
  const word = value.state?.state ?? value.state?.status ?? "";
  const shown = typeof word === "string" ? word : Object.keys(word)[0];
  const wakes = value.deadline ? `wakes ${new Date(value.deadline).toISOString()}` : "sleeps";
  const owed = owes(value.outbox);
  const rest = owed > 0 ? `${wakes}, owes ${owed}` : wakes;
  return [object.padEnd(14), key.padEnd(34), (shown ?? "").padEnd(14), rest].join(" ").trimEnd();
}

/** Messages that wait in an outbox, whoever they are for. */
function owes(outbox) {
  const lanes = outbox?.lanes ?? [];
  return lanes.reduce((sum, [, lane]) => sum + lane.queue.length, 0);
}

function main(words) {
  let state = DEFAULT_STATE;
  let wanted;
  while (words.length > 0) {
    const word = words.shift();
    if (word === "--state-dir") state = path.resolve(words.shift() ?? "");
    else if (word.startsWith("-") || wanted !== undefined) {
      throw new Error(`unknown argument: ${word}; usage: scripts/objects [--state-dir DIR] [ID]`);
    } else wanted = word;
  }
  const all = actors(state);
  if (wanted === undefined) {
    for (const actor of all) console.log(line(actor));
    return;
  }
  const fitting = all.filter((actor) => actor.key.includes(wanted));
  if (fitting.length === 0) throw new Error(`no machine has ${wanted} in its address`);
  for (const actor of fitting) console.log(JSON.stringify(actor, null, 2));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`scripts/objects: ${error.message}`);
    process.exitCode = 1;
  }
}
