// A Durable Object class around the Rust struct of the same name.
//
// The JavaScript object outlives generations: it makes its Rust half when an
// event comes and the one it has belongs to a generation that ended.
//
// A turn that was cut short must not be half committed. When the instance ends
// under an event of this object, the object is aborted: the runtime drops the
// writes of the unfinished turn, fails its callers at once, closes its sockets
// (clients come back with their cursors), and starts it afresh from disk.

import { DurableObject } from "cloudflare:workers";
import { generation, InstanceEnded } from "./generation.mjs";

/** The last retry at which the runtime would give up on a failing alarm. */
const LAST_ALARM_RETRY = 5;
const ALARM_RETRY_MS = 30_000;

export function objectClass(name) {
  return class extends DurableObject {
    #generation = null;
    #rust = null;

    async #event(method, ...args) {
      const living = generation();
      try {
        return await living.run(() => {
          if (this.#generation !== living) {
            const Rust = living.glue[name];
            if (!Rust) throw new Error(`the Worker has no class ${name}`);
            this.#rust = new Rust(this.ctx, this.env);
            this.#generation = living;
          }
          return this.#rust[method](...args);
        });
      } catch (error) {
        if (error instanceof InstanceEnded) {
          this.ctx.abort(`${name}.${method} was cut short: ${error.message}`);
        }
        throw error;
      }
    }

    async fetch(request) {
      return await this.#event("fetch", request);
    }

    async alarm(info) {
      // The runtime forgets an alarm after its last retry; this one must come again.
      if (info?.retryCount >= LAST_ALARM_RETRY) {
        await this.ctx.storage.setAlarm(Date.now() + ALARM_RETRY_MS);
        await this.ctx.storage.sync();
      }
      await this.#event("alarm");
    }

    async webSocketMessage(socket, message) {
      await this.#event("webSocketMessage", socket, message);
    }

    async webSocketClose(socket, code, reason, wasClean) {
      await this.#event("webSocketClose", socket, code, reason, wasClean);
    }

    async webSocketError(socket, error) {
      await this.#event("webSocketError", socket, error);
    }
  };
}
