// The web app on Cloudflare Pages: this answers for the API by handing the
// request to the Worker, so that one origin serves both; everything else is a
// file. Bound to the Worker as the service SAM; `wrangler pages dev` on one
// machine names the local server's address in SAM_ORIGIN instead.

const WORKER_PATHS = ["/api/", "/ai/", "/mcp/", "/.well-known/"];

const isForWorker = (pathname) =>
  pathname === "/healthz" || WORKER_PATHS.some((prefix) => pathname.startsWith(prefix));

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (!isForWorker(url.pathname)) return env.ASSETS.fetch(request);
    if (env.SAM) return env.SAM.fetch(request);
    if (!env.SAM_ORIGIN) {
      return Response.json(
        {
          error: {
            code: "not_connected",
            message: "This site is not connected to a SAM server.",
            hint: "Bind the Worker to this Pages project as the service SAM.",
          },
        },
        { status: 503 },
      );
    }
    const upstream = new Request(new URL(url.pathname + url.search, env.SAM_ORIGIN), request);
    // The local server may compress for a client that did not ask.
    upstream.headers.set("accept-encoding", "identity");
    return fetch(upstream, { redirect: "manual" });
  },
};
