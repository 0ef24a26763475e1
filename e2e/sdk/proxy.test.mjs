// The official SDKs through the proxy, to upstreams of every dialect: the same
// where they speak alike, translated where they do not. The scripted gateway
// is as strict as the real services, also about what a model thought.
//
// The programs must be built: `cargo xtask build all`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Stack } from "../browser/harness.mjs";
import { ScriptedNode } from "../browser/scripted-node.mjs";
import { MODEL, clients, loop } from "./clients.mjs";

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
      const key = modelToken;
      const [openaiUrl, anthropicUrl] = [`${stack.url}/ai/v1`, `${stack.url}/ai/anthropic`];
      const { openai, anthropic, dialects } = clients({ openaiUrl, anthropicUrl, key });

      await t.test("models are listed in each one's form, and tokens are counted", async () => {
        const ids = async (client) => {
          const models = [];
          for await (const model of client.models.list()) models.push(model);
          return models;
        };
        const [first, ...others] = await ids(openai);
        assert.deepEqual([first.id, first.object], [MODEL, "model"]);
        // The same path answers both.
        const beside = clients({ openaiUrl, anthropicUrl: `${stack.url}/ai`, key }).anthropic;
        for (const client of [anthropic, beside]) {
          const [model, ...more] = await ids(client);
          assert.deepEqual([model.id, model.type], [MODEL, "model"]);
          assert.ok(model.display_name !== "" && !Number.isNaN(Date.parse(model.created_at)));
          assert.equal(more.length, others.length);
        }
        const question = { model: MODEL, messages: [{ role: "user", content: "Hello" }] };
        const { data, response } = await anthropic.messages.countTokens(question).withResponse();
        assert.ok(data.input_tokens > 0 && data.input_tokens < 100);
        assert.equal(response.headers.get("x-sam-estimated"), upstream === "messages" ? null : "true");
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
