// The official SDKs of OpenAI and Anthropic as clients of one model: a
// conversation in each dialect, behind one way to have it.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

export const MODEL = "scripted";
const SCHEMA = {
  type: "object",
  properties: { command: { type: "string", description: "what to run" } },
  required: ["command"],
};
const ASK = "What does the function `total` do?";
export const FOUND = "src/total.js:1:export function total(items) {";


/** Conversations by dialect: `whole` and `streamed` ask, `answer` gives the calls' results. */
export function clients({ openaiUrl, anthropicUrl, key }) {
  const openai = new OpenAI({ baseURL: openaiUrl, apiKey: key, maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: anthropicUrl, apiKey: key, maxRetries: 0 });
  return { openai, anthropic, dialects: dialects(openai, anthropic) };
}

const dialects = (openai, anthropic) => ({
  "chat completions": () => {
    const tools = [{ type: "function", function: { name: "bash", parameters: SCHEMA } }];
    const messages = [{ role: "user", content: ASK }];
    const request = () => ({ model: MODEL, messages, tools, stream_options: { include_usage: true } });
    return {
      async whole() {
        const { stream_options: _, ...body } = request();
        const reply = await openai.chat.completions.create(body);
        return read(reply.choices[0].message, reply.usage);
      },
      async streamed() {
        const stream = openai.chat.completions.stream(request());
        const reply = await stream.finalChatCompletion();
        return read(reply.choices[0].message, reply.usage);
      },
      answer(said, results) {
        messages.push(said.raw);
        for (const [call, content] of results) messages.push({ role: "tool", tool_call_id: call.id, content });
      },
    };
    function read(message, usage) {
      const calls = (message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
      }));
      return { raw: message, text: message.content ?? "", calls, tokens: usage.prompt_tokens + usage.completion_tokens };
    }
  },

  Responses: () => {
    const tools = [{ type: "function", name: "bash", parameters: SCHEMA, strict: false }];
    const input = [{ role: "user", content: ASK }];
    const request = () => ({
      model: MODEL,
      input,
      tools,
      store: false,
      include: ["reasoning.encrypted_content"],
    });
    return {
      whole: async () => read(await openai.responses.create(request())),
      streamed: async () => read(await openai.responses.stream(request()).finalResponse()),
      answer(said, results) {
        input.push(...said.raw);
        for (const [call, output] of results) {
          input.push({ type: "function_call_output", call_id: call.id, output });
        }
      },
    };
    function read(response) {
      assert.equal(response.status, "completed");
      const calls = response.output
        .filter((item) => item.type === "function_call")
        .map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) }));
      return { raw: response.output, text: response.output_text, calls, tokens: response.usage.total_tokens };
    }
  },

  Messages: () => {
    const tools = [{ name: "bash", input_schema: SCHEMA }];
    const messages = [{ role: "user", content: ASK }];
    const request = () => ({
      model: MODEL,
      max_tokens: 4096,
      thinking: { type: "enabled", budget_tokens: 1024 },
      messages,
      tools,
    });
    return {
      whole: async () => read(await anthropic.messages.create(request())),
      streamed: async () => read(await anthropic.messages.stream(request()).finalMessage()),
      answer(said, results) {
        messages.push({ role: "assistant", content: said.raw });
        const content = results.map(([call, content]) => ({ type: "tool_result", tool_use_id: call.id, content }));
        messages.push({ role: "user", content });
      },
    };
    function read(message) {
      const calls = message.content
        .filter((block) => block.type === "tool_use")
        .map((block) => ({ id: block.id, name: block.name, arguments: block.input }));
      const text = message.content.filter((block) => block.type === "text").map((block) => block.text);
      assert.equal(message.stop_reason, calls.length > 0 ? "tool_use" : "end_turn");
      const tokens = message.usage.input_tokens + message.usage.output_tokens;
      return { raw: message.content, text: text.join(""), calls, tokens };
    }
  },
});

/** Asks until the model calls no more, and answers how many calls it made. */
export async function loop(talk, ask) {
  let called = 0;
  for (let turn = 0; turn < 20; turn += 1) {
    const said = await ask();
    if (said.calls.length === 0) {
      assert.notEqual(said.text, "");
      return called;
    }
    called += said.calls.length;
    for (const call of said.calls) {
      assert.equal(call.name, "bash");
      assert.equal(typeof call.arguments.command, "string");
    }
    talk.answer(said, said.calls.map((call) => [call, FOUND]));
  }
  assert.fail("the model went on for ever");
}
