// A reply on its way, in node, with a stand-in for Rust's half.

import assert from "node:assert/strict";
import test from "node:test";
import { End, Ends, pass } from "./passing.mjs";

const encode = (text) => new TextEncoder().encode(text);
const decode = (bytes) => new TextDecoder().decode(bytes);
const EVENT = 'data: {"choices":[{"delta":{"content":"word"}}]}\n\n';
const LONG_ENOUGH = 60_000;

/** Rust's half: says of what passes it what it said, and remembers how it ended. */
class Exchange {
  taken = 0;
  take(chunk) {
    this.taken++;
    return this.changes ? encode(decode(chunk).toUpperCase()) : undefined;
  }
  rest() {
    return encode(this.changes ? "REST" : "");
  }
  last_words(end) {
    return encode(`\n\nerror ${end}\n\n`);
  }
  ended(...how) {
    assert.equal(this.how, undefined, "it ends once");
    const [end, head, tail, bytes] = how;
    this.how = { end, head: decode(head), tail: decode(tail), bytes };
  }
}

/** An upstream whose every chunk the test gives, when it is asked for. */
function upstream(give) {
  const seen = { cancelled: false, asked: 0 };
  const stream = new ReadableStream(
    {
      type: "bytes",
      async pull(controller) {
        const chunk = await give(seen.asked++);
        if (chunk !== undefined) return controller.enqueue(typeof chunk === "string" ? encode(chunk) : chunk);
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, seen };
}

function passing(give, { events = true, through = false, hides = false, silence = LONG_ENOUGH } = {}) {
  const exchange = new Exchange();
  const client = new AbortController();
  const { stream, seen } = upstream(give);
  const reply = pass(stream, client.signal, exchange, events, through, hides, silence);
  return { reply, exchange, client, seen };
}

const text = async (stream) => decode(Buffer.concat(await Array.fromAsync(stream)));
const never = () => new Promise(() => {});

test("a stream passes as it is, and its ends are told once", async () => {
  const said = [EVENT, EVENT, "data: [DONE]\n\n"];
  const { reply, exchange } = passing((at) => said[at]);
  const whole = said.join("");
  assert.equal(await text(reply), whole);
  assert.deepEqual(exchange.how, { end: End.COMPLETE, head: whole, tail: "", bytes: whole.length });
  assert.equal(exchange.taken, 0);
});

test("of twenty thousand events Rust hears nothing but both ends", async () => {
  const { reply, exchange } = passing((at) => (at < 20_000 ? EVENT : undefined), { hides: true });
  let bytes = 0;
  for await (const chunk of reply) bytes += chunk.length;
  assert.equal(bytes, 20_000 * EVENT.length);
  const { end, head, tail } = exchange.how;
  assert.equal(end, End.COMPLETE);
  assert.equal(head.length, 16 * 1024);
  assert.ok(tail.length >= 16 * 1024 && tail.length <= 32 * 1024);
  assert.ok(tail.endsWith(EVENT) && exchange.taken === 0);
});

test("what is translated goes through Rust, and so does its end", async () => {
  const exchange = new Exchange();
  exchange.changes = true;
  const { stream } = upstream((at) => ["a", "b"][at]);
  const reply = pass(stream, new AbortController().signal, exchange, true, true, false, LONG_ENOUGH);
  assert.equal(await text(reply), "ABREST");
  const seen = passing((at) => ['{"usage":', "{}}"][at], { events: false, through: true });
  assert.equal(await text(seen.reply), '{"usage":{}}');
  assert.equal(seen.exchange.taken, 2);
});

test("a stream that breaks off says so in its last event; a document is only cut", async () => {
  for (const [events, last] of [[true, `\n\nerror ${End.BROKE_OFF}\n\n`], [false, ""]]) {
    const cut = (at) => (at === 0 ? EVENT : Promise.reject(new Error("reset")));
    const { reply, exchange } = passing(cut, { events, through: !events });
    assert.equal(await text(reply), EVENT + last);
    assert.equal(exchange.how.end, End.BROKE_OFF);
  }
});

test("silence is broken by comments between events, and ends the stream when it is too long", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  const { reply, exchange, seen } = passing((at) => (at === 0 ? EVENT : never()), { silence: 12_000 });
  const reader = reply.getReader();
  assert.equal(decode((await reader.read()).value), EVENT);
  const next = reader.read();
  await new Promise(setImmediate);
  t.mock.timers.tick(5_000);
  assert.equal(decode((await next).value), ": waiting\n\n");
  const rest = text({ [Symbol.asyncIterator]: () => ({ next: () => reader.read() }) });
  for (let looks = 0; looks < 2; looks++) {
    await new Promise(setImmediate);
    t.mock.timers.tick(5_000);
  }
  assert.equal(await rest, `: waiting\n\n\n\nerror ${End.SILENT}\n\n`);
  assert.deepEqual([exchange.how.end, seen.cancelled], [End.SILENT, true]);
});

test("no comment splits an event", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  let go;
  const { reply } = passing((at) => [EVENT.slice(0, 9), new Promise((resolve) => (go = resolve))][at]);
  const reader = reply.getReader();
  await reader.read();
  const next = reader.read();
  await new Promise(setImmediate);
  t.mock.timers.tick(5_000);
  go(EVENT.slice(9));
  assert.equal(decode((await next).value), EVENT.slice(9));
});

test("a client that is slow is waited for: one chunk waits, and the upstream is not blamed", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  const { reply, exchange, seen } = passing((at) => (at < 1_000 ? EVENT : undefined), { silence: 10_000 });
  const reader = reply.getReader();
  await reader.read();
  await new Promise(setImmediate);
  const asked = seen.asked;
  assert.ok(asked <= 3, `${asked} chunks were asked for`);
  t.mock.timers.tick(60_000);
  await new Promise(setImmediate);
  assert.deepEqual([seen.asked, exchange.how], [asked, undefined]);
  let events = 1;
  while (!(await reader.read()).done) events++;
  assert.deepEqual([events, exchange.how.end], [1_000, End.COMPLETE]);
});

test("a stream that comes faster than it leaves is read in larger pieces, and in small ones again", async () => {
  const whole = Buffer.alloc(300_000, EVENT);
  let at = 0;
  const sizes = [];
  // As the runtime does: as much as there is room for, and at last word by word.
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { view } = controller.byobRequest;
      const given = at < whole.length ? whole.subarray(at, at + view.byteLength) : encode(EVENT);
      sizes.push(view.byteLength);
      at += given.length;
      new Uint8Array(view.buffer, view.byteOffset).set(given);
      controller.byobRequest.respond(given.length);
      if (sizes.length < 40) return;
      controller.close();
    },
  }, { highWaterMark: 0 });
  const reply = pass(stream, new AbortController().signal, new Exchange(), true, false, false, LONG_ENOUGH);
  for await (const chunk of reply) assert.ok(chunk.length > 0);
  assert.deepEqual(sizes.slice(0, 6).map((size) => size / 1024), [4, 8, 16, 32, 64, 64]);
  assert.equal(sizes.at(-1), 4 * 1024);
});

test("a client that leaves closes the upstream, whichever way it is noticed", async () => {
  for (const leave of [({ client }) => client.abort(), ({ reader }) => reader.cancel()]) {
    const { reply, exchange, client, seen } = passing((at) => (at === 0 ? EVENT : never()));
    const reader = reply.getReader();
    await reader.read();
    await leave({ client, reader });
    assert.equal(exchange.how.end, End.CLIENT_LEFT);
    assert.equal(exchange.how.head, EVENT);
    assert.ok(seen.cancelled);
  }
});

test("an instance that ended lets what passes pass, and fails what it was to translate", async () => {
  const ended = () => {
    throw new Error("the instance ended");
  };
  const { reply, exchange } = passing((at) => (at < 3 ? EVENT : undefined));
  Object.assign(exchange, { ended, last_words: ended });
  assert.equal(await text(reply), EVENT.repeat(3));
  const translated = passing((at) => (at < 3 ? EVENT : undefined), { through: true });
  Object.assign(translated.exchange, { take: ended });
  await assert.rejects(text(translated.reply), /the instance ended/);
  assert.ok(translated.seen.cancelled);
});

test("the ends of a stream are kept in bounded memory, whatever it is cut into", () => {
  for (const size of [1, 7, 300, 16_384, 50_000]) {
    const ends = new Ends();
    const whole = Buffer.from(Array.from({ length: 120_000 }, (_, at) => at % 251));
    for (let at = 0; at < whole.length; at += size) ends.push(whole.subarray(at, at + size));
    assert.equal(ends.bytes, whole.length);
    assert.deepEqual(Buffer.from(ends.head), whole.subarray(0, 16_384));
    assert.ok(ends.tail.length >= 16_384 && ends.tail.buffer.byteLength <= 64 * 1024);
    assert.deepEqual(Buffer.from(ends.tail), whole.subarray(whole.length - ends.tail.length));
  }
});
