// The answer of a request whose instance ended.

import assert from "node:assert/strict";
import test from "node:test";
import { internalError, requestId } from "./failure.mjs";

test("a request id looks like every other and sorts by time", () => {
  assert.equal(requestId(0, new Uint8Array(16)), `req_${"0".repeat(26)}`);
  assert.match(requestId(), /^req_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  assert.ok(requestId(1_000) < requestId(2_000));
});

test("the body has the shape of every error and says nothing of the cause", async (t) => {
  t.mock.method(console, "error", () => {});
  const response = internalError(new Error("a secret detail"));
  assert.equal(response.status, 500);
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error), ["code", "message", "hint", "request_id"]);
  assert.equal(error.code, "internal");
  assert.doesNotMatch(JSON.stringify(error), /secret detail/);
  assert.match(console.error.mock.calls[0].arguments[0], new RegExp(`${error.request_id}.*secret detail`));
});
