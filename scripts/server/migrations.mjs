// Applies migrations/*.sql to the local D1, each once, in the order of their
// names, and keeps account in the table that wrangler uses, so that
// `wrangler d1 migrations` sees the same history.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const ACCOUNT = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/** Applies what is missing; returns the names of the migrations applied now. */
export async function migrate(database, directory) {
  await database.prepare(ACCOUNT).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
  const applied = new Set(results.map((row) => row.name));
  const missing = readdirSync(directory)
    .filter((name) => name.endsWith(".sql") && !applied.has(name))
    .sort();
  for (const name of missing) {
    const statements = splitStatements(readFileSync(path.join(directory, name), "utf8"));
    try {
      // A batch is one transaction: a migration is applied whole or not at all.
      await database.batch([
        ...statements.map((statement) => database.prepare(statement)),
        database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
      ]);
    } catch (error) {
      throw new Error(`migrations/${name} failed: ${error.message}`, { cause: error });
    }
  }
  return missing;
}

// One token of SQL: a comment, a quoted text or name, a word, or any character.
const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[A-Za-z_]\w*|[\s\S]/g;

/** Splits a script at its semicolons; those in texts, comments and trigger bodies do not count. */
export function splitStatements(script) {
  const statements = [];
  let text = "";
  let words = [];
  let depth = 0;
  const finish = () => {
    if (words.length > 0) statements.push(text.trim());
    text = "";
    words = [];
    depth = 0;
  };
  for (const [token] of script.matchAll(TOKEN)) {
    if (token === ";" && depth === 0) {
      finish();
      continue;
    }
    if (!token.startsWith("--") && !token.startsWith("/*")) text += token;
    if (/^[A-Za-z_]/.test(token)) {
      const word = token.toUpperCase();
      words.push(word);
      const isTrigger = words[0] === "CREATE" && words.slice(1, 4).includes("TRIGGER");
      if (isTrigger && (word === "BEGIN" || word === "CASE")) depth += 1;
      if (isTrigger && word === "END") depth -= 1;
    }
  }
  finish();
  return statements;
}
