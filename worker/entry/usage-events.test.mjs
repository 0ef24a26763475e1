// The event that only reports usage, taken out of what passes.

import assert from "node:assert/strict";
import test from "node:test";
import { UsageEvents } from "./usage-events.mjs";

const TEXT = 'data: {"choices":[{"delta":{"content":"x"}}],"usage":null}\n\n';
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n';
const SPACED = 'data: {"usage": {"prompt_tokens": 1}, "choices": [ ]}\n\n';
const BOTH = 'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n';
const EMPTY = 'data: {"choices":[],"prompt_filter_results":[]}\n\n';
const SAID = 'data: {"choices":[{"delta":{"content":"{\\"choices\\":[],\\"usage\\":{}}"}}]}\n\n';
const DONE = "data: [DONE]\n\n";

const encode = (text) => new TextEncoder().encode(text);
const decode = (parts) => new TextDecoder().decode(Buffer.concat(parts));

function filtered(stream, size = stream.length) {
  const events = new UsageEvents();
  const bytes = encode(stream);
  const out = [];
  for (let at = 0; at < bytes.length; at += size) out.push(events.push(bytes.slice(at, at + size)));
  out.push(events.finish());
  return decode(out);
}

test("only the event that reports usage and nothing else goes", () => {
  const stream = [": ping\n\n", TEXT, BOTH, EMPTY, SAID, USAGE, SPACED, DONE].join("");
  const rest = [": ping\n\n", TEXT, BOTH, EMPTY, SAID, DONE].join("");
  assert.equal(filtered(stream), rest);
  assert.equal(filtered(stream.replaceAll("\n", "\r\n")), rest.replaceAll("\n", "\r\n"));
  assert.equal(filtered(TEXT + USAGE.trimEnd()), TEXT, "also without a last blank line");
  assert.equal(filtered("\n\n\r\n" + USAGE + TEXT), "\n\n\r\n" + TEXT);
});

test("an event leaves as soon as it is whole, and as the bytes that came", () => {
  const events = new UsageEvents();
  const chunk = encode(TEXT);
  const left = events.push(chunk);
  assert.deepEqual([left.buffer, left.length], [chunk.buffer, chunk.length]);
});

test("a long event passes without being held, and the next is looked at again", () => {
  for (const end of ["\n\n", "\r\n\r\n"]) {
    const events = new UsageEvents();
    const long = `data: ${"x".repeat(1_000_000)}${end}`;
    const bytes = encode(long + USAGE + TEXT);
    let left = 0;
    const out = [];
    for (let at = 0; at < bytes.length; at += 1_000) {
      out.push(events.push(bytes.subarray(at, at + 1_000)));
      left += out.at(-1).length;
      assert.ok(at + 1_000 - left <= 64 * 1024 + 1_000, `${at - left} bytes are held`);
    }
    out.push(events.finish());
    assert.equal(decode(out), long + TEXT);
  }
});

test("it does not matter where a stream is cut", () => {
  const pieces = [TEXT, USAGE, SPACED, BOTH, EMPTY, SAID, DONE, ": p\n\n", "\n", "data: x\n"];
  // A small generator of its own, so that a failure can be repeated.
  let seed = 7;
  const next = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let run = 0; run < 2_000; run++) {
    let stream = Array.from({ length: next(12) }, () => pieces[next(pieces.length)]).join("");
    if (next(2)) stream = stream.replaceAll("\n", "\r\n");
    const size = 1 + next(50);
    assert.equal(filtered(stream, size), filtered(stream), JSON.stringify([stream, size]));
  }
});
