// Takes the event that only reports usage out of a stream of chat completions
// that passes.
//
// Bytes are held back only until their event is whole; every event but the one
// with empty `choices` and a `usage` leaves exactly as it came. What comes is
// only searched for an empty list, and read as text where there is one. Lines
// end in LF or CRLF.

const MOST_HELD = 64 * 1024;
/** Enough of what has left to see that a line that begins is blank. */
const CONTEXT = 3;

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const OPEN = 91;
const CLOSE = 93;

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder();

/** Where the event that a blank line before `end` closes ends; 0 when none does. */
function lastEnd(bytes) {
  for (let at = bytes.lastIndexOf(LF); at >= 0; at = at > 0 ? bytes.lastIndexOf(LF, at - 1) : -1) {
    if (isBlankLine(bytes, at)) return at + 1;
  }
  return 0;
}

/** Where the first event ends; 0 when none does. */
function firstEnd(bytes, from) {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (isBlankLine(bytes, at, from)) return at + 1;
  }
  return 0;
}

/** Whether the line that ends at `at` is blank, in bytes of which the first line begins at `start`. */
function isBlankLine(bytes, at, start = 0) {
  const before = at > start && bytes[at - 1] === CR ? at - 1 : at;
  return before === start || bytes[before - 1] === LF;
}

function hasEmptyList(bytes) {
  for (let at = bytes.indexOf(CLOSE); at >= 0; at = bytes.indexOf(CLOSE, at + 1)) {
    let before = at - 1;
    while (bytes[before] === SPACE || bytes[before] === TAB) before--;
    if (bytes[before] === OPEN) return true;
  }
  return false;
}

function onlyReportsUsage(event) {
  const text = decoder.decode(event);
  if (!text.includes('"usage"') || !text.includes('"choices"')) return false;
  const lines = text.split("\n").filter((line) => line.startsWith("data:"));
  try {
    const { choices, usage } = JSON.parse(lines.map((line) => line.slice(5)).join("\n"));
    return Array.isArray(choices) && choices.length === 0 && usage !== null && typeof usage === "object" && !Array.isArray(usage);
  } catch {
    return false;
  }
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export class UsageEvents {
  /** The event so far, as long as it may still be the one. */
  #held = NOTHING;
  /** The current event is too long to be the one, and passes. */
  #passing = false;

  /** Takes the next bytes and returns those that may leave. */
  push(chunk) {
    let bytes = this.#held.length > 0 ? joined([this.#held, chunk]) : chunk;
    const leaving = [];
    if (this.#passing) {
      // The context is no line of its own, so the first line may not count as blank.
      const end = firstEnd(bytes, 1);
      const passes = end > 0 ? end : Math.max(bytes.length - CONTEXT, 0);
      leaving.push(bytes.subarray(0, passes));
      bytes = bytes.subarray(passes);
      this.#passing = end === 0;
    }
    if (!this.#passing) {
      const end = lastEnd(bytes);
      const events = bytes.subarray(0, end);
      bytes = bytes.subarray(end);
      if (hasEmptyList(events)) leaving.push(...this.#kept(events));
      else leaving.push(events);
      if (bytes.length > MOST_HELD) {
        this.#passing = true;
        leaving.push(bytes.subarray(0, bytes.length - CONTEXT));
        bytes = bytes.subarray(bytes.length - CONTEXT);
      }
    }
    this.#held = bytes;
    return joined(leaving);
  }

  /** The end of the stream: what is still held back. */
  finish() {
    const held = this.#held;
    this.#held = NOTHING;
    return !this.#passing && onlyReportsUsage(held) ? NOTHING : held;
  }

  *#kept(events) {
    for (let from = 0; from < events.length; ) {
      const end = firstEnd(events, from);
      const event = events.subarray(from, end);
      if (!onlyReportsUsage(event)) yield event;
      from = end;
    }
  }
}
