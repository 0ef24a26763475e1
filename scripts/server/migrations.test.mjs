// Splitting a migration into the statements that D1 takes one by one.

import assert from "node:assert/strict";
import test from "node:test";
import { splitStatements } from "./migrations.mjs";

const check = (script, expected) => test(JSON.stringify(script), () => assert.deepEqual(splitStatements(script), expected));

check("", []);
check("-- nothing; but a comment\n/* and; another */", []);
check("CREATE TABLE a (b TEXT);\nCREATE TABLE c (d TEXT)", ["CREATE TABLE a (b TEXT)", "CREATE TABLE c (d TEXT)"]);
check("INSERT INTO a VALUES ('x;''y;')", ["INSERT INTO a VALUES ('x;''y;')"]);
check('SELECT ";" ; SELECT [;]', ['SELECT ";"', "SELECT [;]"]);
check("SELECT 1; -- after; it\nSELECT 2;", ["SELECT 1", "SELECT 2"]);
check("CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END WHERE c; END; SELECT 1", [
  "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END WHERE c; END",
  "SELECT 1",
]);
