import assert from "node:assert/strict";
import { test } from "node:test";

import { configure, main, Refused } from "./configure-ai-gateway.mjs";

/** An account with at most one gateway; `spoil` changes what is stored. */
function account(held = null, spoil = (settings) => settings) {
  const verbs = [];
  const send = async (url, { method, body }) => {
    verbs.push(method);
    if (method === "PATCH") return new Response("{}", { status: 405 });
    if (method !== "GET") held = spoil(JSON.parse(body));
    if (!held) return new Response("{}", { status: 404 });
    return Response.json({ success: true, result: held });
  };
  const configured = () => configure({ api: "https://api.example/v4/", account: "a", gateway: "sam", token: "t", send });
  return { verbs, configured };
}

test("a gateway that is not there is created with authentication", async () => {
  const { verbs, configured } = account();
  const { done, effective, differs } = await configured();
  assert.deepEqual([done, differs, verbs], ["created", [], ["GET", "POST", "GET"]]);
  assert.equal(effective.authentication, true);
});

test("one that is there is replaced, and what this does not decide is kept", async () => {
  const { verbs, configured } = account({ id: "sam", authentication: false, rate_limiting_limit: 50, internal_id: "x" });
  const { done, effective } = await configured();
  assert.deepEqual([done, verbs], ["updated", ["GET", "PUT", "GET"]]);
  assert.equal(effective.authentication, true);
  assert.equal(effective.rate_limiting_limit, 50);
  assert.equal("internal_id" in effective, false);
});

test("a setting without effect is noticed", async () => {
  const ignoring = (settings) => ({ ...settings, authentication: false });
  const { differs } = await account({ id: "sam" }, ignoring).configured();
  assert.deepEqual(differs, ["authentication"]);
});

test("a refusal says why, without the token", async () => {
  const send = async () => Response.json({ errors: [{ code: 10000, message: "Authentication error" }] }, { status: 401 });
  const asked = configure({ api: "https://api.example", account: "a", gateway: "sam", token: "secret-token", send });
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof Refused);
    assert.match(error.message, /token is wrong/);
    assert.doesNotMatch(error.message, /secret-token/);
    return true;
  });
});

test("what is missing is told with the usage", async () => {
  const said = [];
  const run = (words, environment = {}) => main(words, environment, (text) => said.push(text));
  assert.equal(await run([]), 2);
  assert.equal(await run(["--account"]), 2);
  assert.equal(await run(["--account", "../x"], { CLOUDFLARE_API_TOKEN: "t" }), 2);
  assert.equal(await run(["--help"]), 0);
  assert.match(said.at(-1), /--gateway ID/);
});
