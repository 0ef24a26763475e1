// A reply on its way from an upstream to a client.
//
// The bytes of a stream that passes as it is never enter the instance: only
// its first and last bytes are kept, where its usage stands, and are handed to
// Rust at the end. What is changed on the way (a translation) and what is no
// stream goes through Rust chunk by chunk.
//
// Four ends are possible: the upstream finishes, breaks off, says nothing for
// too long, or the client leaves. Each ends the exchange, once: the upstream is
// closed, and Rust keeps the record.
//
// Two things about the runtime shape the rest. It ends a reply that failed
// half-way as if it were whole, so a stream that breaks off says so in its last
// event. And it may notice that a client has left only when it writes, so a
// stream that has nothing to say writes a comment, which readers of event
// streams ignore.
//
// Invariant: at most one chunk waits for a client that is slow.

import { UsageEvents } from "./usage-events.mjs";

/** How many bytes of each end of a stream are kept. */
const KEPT = 16 * 1024;
/** Bytes of the smallest and the largest piece that is read at once. */
const LEAST_PIECE = 4 * 1024;
const MOST_PIECE = 64 * 1024;
/** How long a stream may be silent before a comment is written. */
const SILENCE_MS = 5_000;
const COMMENT = new TextEncoder().encode(": waiting\n\n");

/** How an exchange ended, as Rust counts it (`worker/src/proxy/passing.rs`). */
export const End = { COMPLETE: 0, BROKE_OFF: 1, SILENT: 2, CLIENT_LEFT: 3 };

/** The first and the last bytes of a stream, in memory that grows with what passes. */
export class Ends {
  bytes = 0;
  #head = new Uint8Array(512);
  #headLength = 0;
  #tail = new Uint8Array(0);
  #tailLength = 0;

  push(chunk) {
    this.bytes += chunk.length;
    const first = chunk.subarray(0, KEPT - this.#headLength);
    if (first.length > 0) {
      this.#head = roomFor(this.#head, this.#headLength, first.length);
      this.#head.set(first, this.#headLength);
      this.#headLength += first.length;
    }
    let rest = chunk.subarray(first.length);
    if (rest.length === 0) return;
    if (rest.length >= KEPT) {
      rest = rest.subarray(rest.length - KEPT);
      this.#tailLength = 0;
    } else if (this.#tailLength + rest.length > 2 * KEPT) {
      this.#tail.copyWithin(0, this.#tailLength - KEPT, this.#tailLength);
      this.#tailLength = KEPT;
    }
    this.#tail = roomFor(this.#tail, this.#tailLength, rest.length);
    this.#tail.set(rest, this.#tailLength);
    this.#tailLength += rest.length;
  }

  get head() {
    return this.#head.subarray(0, this.#headLength);
  }

  get tail() {
    return this.#tail.subarray(0, this.#tailLength);
  }
}

/**
 * What comes from an upstream, in pieces that grow while more comes than leaves: what a model says as
 * it thinks of it comes word by word, and what is there already is not read by the kilobyte.
 */
class Source {
  #reader;
  #size = LEAST_PIECE;

  constructor(stream) {
    this.#reader = stream?.getReader({ mode: "byob" });
  }

  /** The next piece; nothing at the end. */
  async read() {
    const { value, done } = (await this.#reader?.read(new Uint8Array(this.#size))) ?? { done: true };
    if (done) return undefined;
    if (value.length === this.#size) this.#size = Math.min(2 * this.#size, MOST_PIECE);
    else if (value.length < this.#size / 4) this.#size = Math.max(this.#size / 2, LEAST_PIECE);
    return value;
  }

  cancel() {
    this.#reader?.cancel().catch(() => {});
  }
}

function roomFor(buffer, length, more) {
  if (length + more <= buffer.length) return buffer;
  const larger = new Uint8Array(Math.max(length + more, 2 * buffer.length));
  larger.set(buffer.subarray(0, length));
  return larger;
}

function endsEvent(bytes) {
  const last = bytes.length - 1;
  return bytes[last] === 10 && (bytes[last - 1] === 10 || (bytes[last - 1] === 13 && bytes[last - 2] === 10));
}

/**
 * Passes a reply on until it ends or its client leaves.
 *
 * `exchange` is Rust's half: of a reply that goes `through` it `take(chunk)`
 * returns what leaves, or nothing for all of it, and `rest()` what is left; `last_words(end)` what a stream that ended
 * otherwise still says, and `ended(end, head, tail, bytes)` is called once.
 * `silence` is in milliseconds.
 */
export function pass(upstream, signal, exchange, events, through, hidesUsage, silence) {
  const source = new Source(upstream);
  const ends = new Ends();
  const filter = hidesUsage ? new UsageEvents() : null;
  let controller;
  let over = false;
  /** Whether the last byte that left ended an event. */
  let betweenEvents = true;
  /** Since when the upstream is waited for; null while it is the client that is. */
  let waitingSince = null;

  const leave = (bytes) => {
    if (bytes.length === 0) return false;
    betweenEvents = endsEvent(bytes);
    controller.enqueue(bytes);
    return true;
  };

  const taken = (chunk) => {
    if (through) return exchange.take(chunk) ?? chunk;
    ends.push(chunk);
    return filter ? filter.push(chunk) : chunk;
  };

  const stop = () => {
    over = true;
    clearInterval(watch);
    signal.removeEventListener("abort", departed);
  };

  const end = (how) => {
    if (over) return;
    stop();
    if (how !== End.COMPLETE) source.cancel();
    let words;
    try {
      if (events && how !== End.COMPLETE) words = exchange.last_words(how);
      exchange.ended(how, ends.head, ends.tail, ends.bytes);
    } catch {
      // The instance ended. What it counted is lost with it, and expires.
    }
    if (how === End.CLIENT_LEFT) return;
    if (words) leave(words);
    controller.close();
  };

  const departed = () => end(End.CLIENT_LEFT);

  const look = () => {
    if (waitingSince === null) return;
    if (Date.now() - waitingSince >= silence) end(End.SILENT);
    else if (events && betweenEvents && controller.desiredSize > 0) controller.enqueue(COMMENT);
  };
  const watch = setInterval(look, Math.min(SILENCE_MS, silence));
  signal.addEventListener("abort", departed);

  const read = async () => {
    waitingSince = Date.now();
    try {
      return await source.read();
    } catch {
      return null;
    } finally {
      waitingSince = null;
    }
  };

  return new ReadableStream({
    start(given) {
      controller = given;
    },
    async pull() {
      try {
        for (;;) {
          const next = await read();
          if (over) return;
          if (next === null) return end(End.BROKE_OFF);
          if (next === undefined) {
            if (through) leave(exchange.rest());
            else if (filter) leave(filter.finish());
            return end(End.COMPLETE);
          }
          if (leave(taken(next))) return;
        }
      } catch (error) {
        // The instance ended, without which nothing is translated.
        stop();
        source.cancel();
        throw error;
      }
    },
    cancel() {
      end(End.CLIENT_LEFT);
    },
  });
}
