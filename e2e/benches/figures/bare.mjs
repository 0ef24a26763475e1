// The peer of the figures: a Worker and an object that do what the product
// does to the runtime (answer, store, send) and nothing else. It carries the
// product's class names, so that the local server binds it alike.

import { DurableObject } from "cloudflare:workers";

export class ProjectData extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS written (id INTEGER PRIMARY KEY, body TEXT NOT NULL)");
  }

  async fetch(request) {
    if (request.headers.get("upgrade") === "websocket") {
      const [client, server] = Object.values(new WebSocketPair());
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    const body = await request.text();
    this.ctx.storage.sql.exec("INSERT INTO written (body) VALUES (?)", body);
    for (const socket of this.ctx.getWebSockets()) socket.send(body);
    return Response.json({ written: body.length });
  }

  // A number asks for a frame of so many bytes.
  webSocketMessage(socket, message) {
    socket.send("x".repeat(Number(message)));
  }

  webSocketClose(socket) {
    socket.close(1000);
  }
}

export class TaskRunner extends DurableObject {}
export class NodeLifecycle extends DurableObject {}
export class NodePool extends DurableObject {}
export class Budget extends DurableObject {}
export class DeviceFlow extends DurableObject {}
export class RateLimit extends DurableObject {}
export class SubscriptionLogin extends DurableObject {}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/healthz") return Response.json({});
    if (pathname === "/api/route") return new Response("x".repeat(Number(searchParams.get("bytes"))));
    return env.PROJECT_DATA.get(env.PROJECT_DATA.idFromName(pathname)).fetch(request);
  },
};
