import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";

import { actors, line } from "./objects.mjs";

let state;

before(() => {
  state = mkdtempSync(path.join(tmpdir(), "sam-objects-"));
  const folder = path.join(state, "server/v3/do/sam-TaskRunner");
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(path.join(folder, "abc.sqlite"));
  database.exec("CREATE TABLE actors (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  const value = {
    state: { state: "running" },
    deadline: 0,
    outbox: { newest: 2, lanes: [[{ pool: "usr_1" }, { queue: [[1, {}], [2, {}]] }]] },
  };
  database.prepare("INSERT INTO actors VALUES (?, ?)").run("tsk_1", JSON.stringify(value));
  database.close();
  new DatabaseSync(path.join(folder, "metadata.sqlite")).close();
});
after(() => rmSync(state, { recursive: true, force: true }));

test("a machine is shown with its state, its deadline and what it owes", () => {
  const found = actors(state);
  assert.deepEqual(found.map((actor) => [actor.object, actor.key]), [["TaskRunner", "tsk_1"]]);
  assert.match(line(found[0]), /^TaskRunner +tsk_1 +running +sleeps, owes 2$/);
});

test("a folder without objects is refused", () => {
  assert.throws(() => actors(path.join(state, "nowhere")), /holds no objects/);
});
