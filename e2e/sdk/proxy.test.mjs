// The official SDKs through the proxy, to upstreams of every dialect: the same
// where they speak alike, translated where they do not. The scripted gateway
// is as strict as the real services, also about what a model thought.
//
// The programs must be built: `cargo xtask build all`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Stack } from "../browser/harness.mjs";
import { ScriptedNode } from "../browser/scripted-node.mjs";
import { clients, loop } from "./clients.mjs";

const UPSTREAMS = { chat: "chat completions", responses: "Responses", messages: "Messages" };
const CLIENTS = Object.values(UPSTREAMS);

test("the SDKs reach upstreams of every dialect through the proxy", async (t) => {
  for (const [upstream, title] of Object.entries(UPSTREAMS)) {
    await t.test(`an upstream that speaks ${title}`, async (t) => {
      const stack = await Stack.start({ settings: { SAM_MODEL_DIALECTS: upstream } });
      t.after(() => stack.stop());
      const node = await ScriptedNode.join(stack);
      await stack.submit(await stack.project(), "hello");
      const { modelToken } = await node.run();
      const { dialects } = clients({
        openaiUrl: `${stack.url}/ai/v1`,
        anthropicUrl: `${stack.url}/ai/anthropic`,
        key: modelToken,
      });

      for (const client of CLIENTS) {
        await t.test(`${client}: a tool loop comes to its end`, async () => {
          const talk = dialects[client]();
          const called = await loop(talk, async () => {
            const whole = await talk.whole();
            const streamed = await talk.streamed();
            const seen = ({ text, calls, tokens }) => ({ text, calls, tokens });
            assert.deepEqual(seen(streamed), seen(whole));
            return streamed;
          });
          assert.ok(called > 0);
        });

        await t.test(`${client}: what fails upstream is raised for what it is`, async () => {
          const failing = async (fault) => {
            await stack.fault(fault);
            return dialects[client]().streamed().then(() => assert.fail("it was answered"), (error) => error);
          };
          const limited = await failing({ kind: "rate_limit", retry_after: 7 });
          assert.equal(limited.status, 429);
          assert.equal(limited.headers.get("retry-after"), "7");
          const busy = await failing({ kind: "status", status: 529 });
          const same = client === title;
          assert.equal(busy.status, same || client === "Messages" ? 529 : 503);
          await stack.fault({ kind: "failure", after_chunks: 2, code: "overloaded_error" });
          await assert.rejects(async () => {
            const reply = await dialects[client]().streamed();
            assert.equal(reply.status, "completed");
          });
          await stack.fault({ kind: "cut", after_chunks: 2 });
          await assert.rejects(dialects[client]().streamed());
        });
      }
    });
  }
});
