// The Worker's entry: hands every event to the Rust code and answers for it
// when the instance ends under the event. See generation.mjs for the model.

import { generation } from "./generation.mjs";
import { internalError } from "./failure.mjs";
import { objectClass } from "./object.mjs";

// Made at start-up, so that no request pays for it; a failure here is met
// again, and answered, by the first request.
try {
  generation();
} catch (error) {
  console.error(`the first instance did not start: ${error?.stack ?? error}`);
}

export default {
  async fetch(request, env, ctx) {
    try {
      const living = generation();
      return await living.run(() => living.glue.fetch(request, env, ctx));
    } catch (error) {
      return internalError(error);
    }
  },

  async scheduled(event, env, ctx) {
    const living = generation();
    await living.run(() => living.glue.scheduled(event, env, ctx));
  },
};

export const ProjectData = objectClass("ProjectData");
export const TaskRunner = objectClass("TaskRunner");
export const NodeLifecycle = objectClass("NodeLifecycle");
export const NodePool = objectClass("NodePool");
export const Budget = objectClass("Budget");
export const DeviceFlow = objectClass("DeviceFlow");
export const RateLimit = objectClass("RateLimit");
export const SubscriptionLogin = objectClass("SubscriptionLogin");
