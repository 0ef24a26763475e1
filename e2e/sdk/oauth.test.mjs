// A stock OAuth client, as it comes from npm, signs in with the device flow:
// it finds everything by itself (RFC 8414) and knows nothing of SAM.
//
// The programs must be built: `cargo xtask build all`.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as client from "openid-client";

import { Stack } from "../browser/harness.mjs";

test("openid-client discovers the server and signs in with the device flow", async (t) => {
  const stack = await Stack.start();
  t.after(() => stack.stop());
  const config = await client.discovery(new URL(stack.url), "stock-client", undefined, client.None(), {
    algorithm: "oauth2",
    // The stack is on loopback, without TLS.
    execute: [client.allowInsecureRequests],
  });
  const begin = (parameters) => client.initiateDeviceAuthorization(config, parameters);
  const decide = (how, { user_code }) => stack.call("POST", `/api/auth/device/${how}`, { user_code });
  const poll = (flow) => client.pollDeviceAuthorizationGrant(config, flow);

  await t.test("what is approved while it polls is its session", async () => {
    const flow = await begin({ scope: "read" });
    assert.equal(flow.verification_uri, `${stack.url}/device`);
    assert.equal(flow.verification_uri_complete, `${stack.url}/device?code=${flow.user_code}`);
    const polling = poll(flow);
    const seen = await stack.call("GET", `/api/auth/device/${flow.user_code}`);
    assert.equal(seen.client_id, "stock-client");
    assert.deepEqual(seen.scopes, ["read"]);
    await decide("approve", flow);
    const tokens = await polling;
    assert.equal(tokens.token_type, "bearer");
    assert.equal(tokens.scope, "read");
    const me = await client.fetchProtectedResource(
      config,
      tokens.access_token,
      new URL("/api/auth/me", stack.url),
      "GET",
    );
    assert.equal((await me.json()).role, "admin");
  });

  await t.test("what is denied is an error in its own words", async () => {
    const flow = await begin({});
    await decide("deny", flow);
    await assert.rejects(poll(flow), { error: "access_denied" });
  });

  await t.test("a scope that does not exist is refused before anybody is asked", async () => {
    await assert.rejects(begin({ scope: "root" }), { error: "invalid_scope" });
  });
});
