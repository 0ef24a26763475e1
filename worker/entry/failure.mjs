// The answer to a request whose instance ended under it: the shape of every
// other error of the API, made without any Rust.

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";

/** A request id like the ones Rust mints: `req_` and 26 lower-case Crockford characters. */
export function requestId(now = Date.now(), random = crypto.getRandomValues(new Uint8Array(16))) {
  let time = "";
  for (let rest = now, i = 0; i < 10; i++) {
    time = CROCKFORD[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  const entropy = Array.from(random, (byte) => CROCKFORD[byte % 32]).join("");
  return `req_${time}${entropy}`;
}

/** A 500 with the API's error body; the cause goes to the log under the same id. */
export function internalError(cause) {
  const id = requestId();
  console.error(`${id}: ${cause?.message ?? cause}`);
  return Response.json(
    {
      error: {
        code: "internal",
        message: "The server failed while it worked on this request.",
        hint: "Repeat the request with the same idempotency key; what was acknowledged before is kept.",
        request_id: id,
      },
    },
    { status: 500, headers: { "cache-control": "no-store" } },
  );
}
