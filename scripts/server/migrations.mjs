// Applies migrations/*.sql to the local D1, each once, in the order of their
// names, and keeps account in the table that wrangler uses, so that
// `wrangler d1 migrations` sees the same history.

import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const ACCOUNT = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/**
 * Reaches D1 through a small Worker of its own: miniflare's way to a database from outside starts a
 * thread for calls that wait, which takes longer than everything here.
 */
export class DatabaseWorker {
  // A header of miniflare's names the Worker that answers; whoever else sends it lacks the key.
  #name = "sam-database";
  #key = randomBytes(32).toString("base64url");

  /** The Worker's options, with these beside. */
  options(others) {
    return { name: this.#name, modules: true, script: SCRIPT, bindings: { KEY: this.#key }, ...others };
  }

  /**
   * How statements are run: `[sql, …values]` each, all of them in one transaction; answers the rows
   * of each.
   */
  statements(miniflare) {
    return async (statements) => {
      const reply = await miniflare.dispatchFetch("http://localhost/", {
        method: "POST",
        headers: { "MF-Route-Override": this.#name, authorization: this.#key },
        body: JSON.stringify(statements),
      });
      const { results, failed } = await reply.json();
      if (failed !== undefined) throw new Error(failed);
      return results;
    };
  }
}

const SCRIPT = `export default {
  async fetch(request, { DB, KEY }) {
    if (request.headers.get("authorization") !== KEY) return new Response(null, { status: 404 });
    try {
      const statements = await request.json();
      const done = await DB.batch(statements.map(([sql, ...values]) => DB.prepare(sql).bind(...values)));
      return Response.json({ results: done.map(({ results }) => results) });
    } catch (error) {
      return Response.json({ failed: error.message });
    }
  },
}`;

/** Applies what is missing; returns the names of the migrations applied now. */
export async function migrate(run, directory) {
  const [, account] = await run([[ACCOUNT], ["SELECT name FROM d1_migrations"]]);
  const applied = new Set(account.map((row) => row.name));
  const missing = readdirSync(directory)
    .filter((name) => name.endsWith(".sql") && !applied.has(name))
    .sort();
  for (const name of missing) {
    const statements = splitStatements(readFileSync(path.join(directory, name), "utf8"));
    try {
      // One transaction: a migration is applied whole or not at all.
      await run([...statements.map((sql) => [sql]), ["INSERT INTO d1_migrations (name) VALUES (?)", name]]);
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
