// What the Worker is bound to, on one machine. `wrangler.toml` says the same
// for Cloudflare; `cargo xtask tidy` fails when the two disagree.

export const COMPATIBILITY_DATE = "2026-07-30";
export const COMPATIBILITY_FLAGS = ["enable_request_signal"];

export const DURABLE_OBJECTS = {
  PROJECT_DATA: "ProjectData",
  TASK_RUNNER: "TaskRunner",
  NODE_LIFECYCLE: "NodeLifecycle",
  NODE_POOL: "NodePool",
  BUDGET: "Budget",
  DEVICE_FLOW: "DeviceFlow",
  RATE_LIMIT: "RateLimit",
  SUBSCRIPTION_LOGIN: "SubscriptionLogin",
};

/** When the Worker is asked to do what is due by schedule. */
export const CRON = "*/10 * * * *";
export const CRON_EVERY_MS = 10 * 60 * 1000;

export const D1 = { binding: "DB", name: "sam" };
export const KV = { binding: "CACHE", name: "sam-cache" };
export const R2 = { binding: "BODIES", name: "sam-bodies" };
/** The files beside the Worker, for the Worker itself. */
export const ASSETS = { binding: "ASSETS" };

/** Paths that the Worker answers; everything else is the web app. */
export const WORKER_PATHS = ["/api/*", "/ai/*", "/mcp/*", "/healthz", "/.well-known/*"];

/** Settings a person may give by environment, env file or `--var`. */
export const SETTINGS = [
  "SAM_PUBLIC_URL",
  "SAM_MODEL_URL",
  "SAM_MODEL_KEY",
  "SAM_MODEL",
  "SAM_MODEL_AUTH",
  "SAM_MODEL_DIALECTS",
  "SAM_MODEL_KIND",
  "SAM_MODEL_SILENCE",
  "SAM_CLOUDFLARE_ACCOUNT",
  "SAM_CLOUDFLARE_TOKEN",
  "SAM_AI_GATEWAY",
  "SAM_AI_GATEWAY_URL",
  "SAM_CLOUDFLARE_URL",
  "SAM_CREDENTIAL_KEYS",
  "SAM_LINK_LEASE",
  "SAM_IDLE_LIMIT",
  "SAM_QUESTION_LIMIT",
  "SAM_CODEX_TOKEN_URL",
  "SAM_CLAUDE_TOKEN_URL",
  "SAM_GITHUB_CLIENT_ID",
  "SAM_GITHUB_CLIENT_SECRET",
  "SAM_GITHUB_URL",
  "SAM_GITHUB_API_URL",
  "SAM_SIGN_UP",
];
