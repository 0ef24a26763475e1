// Makes an AI Gateway, or sets it as it should be, and reads back what took effect.
//
// Cloudflare's API replaces a gateway's settings as a whole (PUT), so the fields
// that this does not decide are kept as they are. A change with another verb is
// refused by the API, and one that it takes without effect is noticed here: a
// gateway that asks for no authentication serves anybody who knows its address.

import { pathToFileURL } from "node:url";

const USAGE = `\
scripts/deploy/configure-ai-gateway --account ID [--gateway ID] [--api URL]

  --account ID   the Cloudflare account (or CLOUDFLARE_ACCOUNT_ID)
  --gateway ID   the gateway (default sam)
  --api URL      Cloudflare's API (default https://api.cloudflare.com/client/v4)

The token comes from CLOUDFLARE_API_TOKEN and needs AI Gateway (edit).
Exit codes: 0 as it should be, 1 it is not, 2 usage.
`;

/** What this decides. */
export const WANTED = { authentication: true, collect_logs: true, cache_ttl: 0 };

/** What the API asks for beside it, when the gateway is new. */
const STANDARD = {
  cache_invalidate_on_update: true,
  rate_limiting_interval: 0,
  rate_limiting_limit: 0,
  rate_limiting_technique: "fixed",
};

/** Fields of a gateway that are told and cannot be set. */
const TOLD = ["account_id", "account_tag", "created_at", "internal_id", "is_default", "modified_at"];

/** An answer of the API that is not what was asked for. */
export class Refused extends Error {}

/** Creates or replaces the gateway; returns what was done and what took effect. */
export async function configure({ api, account, gateway, token, send = fetch }) {
  const base = `${api.replace(/\/+$/, "")}/accounts/${account}/ai-gateway/gateways`;
  const one = `${base}/${gateway}`;
  const ask = async (method, url, body) => {
    const response = await send(url, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
      redirect: "manual",
    });
    if (response.status === 404) return null;
    const text = await response.text();
    if (!response.ok) throw new Refused(explain(response.status, text));
    try {
      return JSON.parse(text).result;
    } catch {
      throw new Refused(`${url} answered with something that is not JSON`);
    }
  };

  const held = await ask("GET", one);
  const settings = { ...STANDARD, ...settable(held ?? {}), ...WANTED, id: gateway };
  const done = held ? "updated" : "created";
  const made = await (held ? ask("PUT", one, settings) : ask("POST", base, settings));
  if (!made) throw new Refused(`the account ${account} is not there, or the token may not see it`);
  const effective = await ask("GET", one);
  const differs = Object.keys(WANTED).filter((name) => effective?.[name] !== WANTED[name]);
  return { done, effective, differs };
}

function settable(held) {
  return Object.fromEntries(
    Object.entries(held).filter(([name, value]) => !TOLD.includes(name) && value !== null),
  );
}

function explain(status, text) {
  let errors = [];
  try {
    errors = JSON.parse(text).errors ?? [];
  } catch {
    // What is not JSON explains nothing.
  }
  const said = errors.map((error) => `${error.message} (${error.code})`).join("; ");
  const why = status === 401 || status === 403 ? "the token is wrong, or lacks AI Gateway (edit)" : said;
  return `Cloudflare answered ${status}${why ? `: ${why}` : ""}`;
}

/** The command line; returns the exit code. */
export async function main(words, environment, print) {
  const given = {
    account: environment.CLOUDFLARE_ACCOUNT_ID,
    gateway: "sam",
    api: "https://api.cloudflare.com/client/v4",
  };
  for (let i = 0; i < words.length; i++) {
    const name = words[i].replace(/^--/, "");
    if (name === "help") return print(USAGE), 0;
    if (!["account", "gateway", "api"].includes(name) || words[i + 1] === undefined) {
      print(`unknown or incomplete: ${words[i]}\n\n${USAGE}`);
      return 2;
    }
    given[name] = words[++i];
  }
  const token = environment.CLOUDFLARE_API_TOKEN;
  const plain = /^[A-Za-z0-9_-]{1,64}$/;
  if (!token || !plain.test(given.account ?? "") || !plain.test(given.gateway)) {
    print(`an account, a gateway and CLOUDFLARE_API_TOKEN are needed\n\n${USAGE}`);
    return 2;
  }
  try {
    const { done, effective, differs } = await configure({ ...given, token });
    if (differs.length > 0) {
      for (const name of differs) {
        print(`${name} should be ${WANTED[name]} and is ${effective?.[name]}`);
      }
      return 1;
    }
    print(`the gateway ${given.gateway} is ${done}, and asks for authentication`);
    return 0;
  } catch (error) {
    print(error instanceof Refused ? error.message : `Cloudflare cannot be reached: ${error.message}`);
    return 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const print = (text) => process.stderr.write(`${text}\n`);
  process.exitCode = await main(process.argv.slice(2), process.env, print);
}
