// One generation is one WebAssembly instance together with the glue that
// wasm-bindgen made for it.
//
// The Rust code is compiled with panic=abort: a panic, a stack overflow or a
// JavaScript exception that unwinds through Rust frames leaves the instance in
// a state nobody may look at again. Left alone, the runtime would keep calling
// into it, and whoever waits for one of its promises would wait for ever.
//
// The model here:
//   - Every entrance from JavaScript into the instance passes one guard. The
//     first exception that crosses it ends the generation, for good.
//   - Ending rejects everything in flight at once, each in its own turn.
//   - A generation that ended refuses every later entrance: timers, promises
//     and finalizers that still hold its closures reach nothing.
//   - The next event is served by a fresh generation, with a fresh heap.
//
// It knows nothing of requests, objects or routes.

import instantiate from "sam:glue";
import wasmModule from "./index_bg.wasm";
import * as sockets from "cloudflare:sockets";
import * as workers from "cloudflare:workers";
import * as passing from "./passing.mjs";

// Modules the glue may import; anything else is a mistake found at start.
const MODULES = { "cloudflare:sockets": sockets, "cloudflare:workers": workers, "sam:passing": passing };

/** Why a call was cut short: its generation ended while it was under way, or before. */
export class InstanceEnded extends Error {
  constructor(cause) {
    super(`the instance ended: ${cause}`, { cause });
    this.name = "InstanceEnded";
  }
}

export class Generation {
  /** The InstanceEnded that ended this generation, or null while it lives. */
  ended = null;
  #waiting = new Set();

  constructor(number) {
    this.number = number;
    this.glue = instantiate(...this.#scope());
    this.glue.initSync({ module: wasmModule });
  }

  /**
   * Starts `call` and answers its promise, or rejects with InstanceEnded as
   * soon as the generation ends, whoever ended it.
   */
  run(call) {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      this.#waiting.add(reject);
      const settle = (how) => (value) => {
        this.#waiting.delete(reject);
        how(value);
      };
      try {
        Promise.resolve(call()).then(settle(resolve), settle(reject));
      } catch (error) {
        settle(reject)(this.ended ?? error);
      }
    });
  }

  #end(cause) {
    if (this.ended) return;
    this.ended = new InstanceEnded(cause);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    console.error(
      `instance ${this.number} ended with ${waiting.length} calls in flight: ${cause}`,
    );
    for (const reject of waiting) reject(this.ended);
  }

  // What the glue sees in place of the globals through which it could enter
  // or leave the instance; the order is that of the wrapper around the glue.
  #scope() {
    const require = (name) => {
      if (!(name in MODULES)) throw new Error(`the glue imports ${name}, which the entry does not provide`);
      return MODULES[name];
    };
    const guard = (name, value) => (typeof value === "function" ? this.#guard(name, value) : value);
    const guardedWebAssembly = {
      Module: WebAssembly.Module,
      Instance: class {
        constructor(module, imports) {
          const { exports } = new WebAssembly.Instance(module, imports);
          this.exports = Object.fromEntries(
            Object.entries(exports).map(([name, value]) => [name, guard(name, value)]),
          );
        }
      },
    };
    const guardedStream = new Proxy(ReadableStream, {
      construct: (target, [source, strategy]) =>
        source ? new target(this.#guardSource(source), strategy) : new target(),
    });
    return [require, guardedWebAssembly, guardedStream];
  }

  #guard(name, enter) {
    const isFree = name.endsWith("_free");
    return (...args) => {
      if (this.ended) {
        if (isFree) return undefined;
        throw this.ended;
      }
      try {
        return enter(...args);
      } catch (error) {
        this.#end(error);
        throw this.ended;
      }
    };
  }

  // A body streamed out of Rust is in flight between two chunks as well.
  #guardSource(source) {
    const guarded = {};
    for (const name of ["type", "autoAllocateChunkSize"]) {
      if (source[name] !== undefined) guarded[name] = source[name];
    }
    for (const name of ["start", "pull", "cancel"]) {
      if (typeof source[name] === "function") {
        guarded[name] = (argument) => this.run(() => source[name](argument));
      }
    }
    return guarded;
  }
}

let current = null;

/** The living generation; makes one when there is none. */
export function generation() {
  if (!current || current.ended) {
    current = new Generation(current ? current.number + 1 : 1);
  }
  return current;
}

// Continuations of a generation that ended are refused on purpose; whoever
// waited for them has had an answer.
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof InstanceEnded) event.preventDefault();
});
addEventListener("error", (event) => {
  if (event.error instanceof InstanceEnded) event.preventDefault();
});
