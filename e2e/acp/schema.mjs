// Every message of the harness held against the JSON Schema of ACP v1, as the
// official SDK carries it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import Ajv from "ajv/dist/2020.js";

const require = createRequire(import.meta.url);
const sdk = path.resolve(path.dirname(require.resolve("@agentclientprotocol/sdk")), "..");
const schema = JSON.parse(readFileSync(path.join(sdk, "schema/schema.json"), "utf8"));
const ajv = new Ajv({ strict: false, validateFormats: false });
ajv.addSchema(schema, "acp");

/** The definition with this side, method and kind (`Request`, `Response`, `Notification`). */
function definition(side, method, kind) {
  const found = Object.entries(schema.$defs).find(
    ([name, def]) => def["x-side"] === side && def["x-method"] === method && name.endsWith(kind),
  );
  assert.ok(found, `the schema knows no ${kind} ${method}`);
  return found[0];
}

function check(name, value, line) {
  const validate = ajv.getSchema(`acp#/$defs/${name}`);
  assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}: ${line}`);
}

/** Checks what goes to and comes from an agent, line by line. */
export class Checker {
  #asked = new Map();
  /** How many of the agent's messages were valid. */
  checked = 0;

  fromClient(line) {
    const message = JSON.parse(line);
    if (message.method && message.id !== undefined) this.#asked.set(message.id, message.method);
  }

  fromAgent(line) {
    const message = JSON.parse(line);
    assert.equal(message.jsonrpc, "2.0");
    this.checked += 1;
    if (message.method) {
      const kind = message.id === undefined ? "Notification" : "Request";
      return check(definition("client", message.method, kind), message.params, line);
    }
    if (message.error) return check("Error", message.error, line);
    const method = this.#asked.get(message.id);
    assert.ok(method, `an answer to nothing: ${line}`);
    check(definition("agent", method, "Response"), message.result, line);
  }
}
