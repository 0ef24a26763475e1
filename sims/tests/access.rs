//! The rules of AI Gateway, of the providers behind it, and of Cloudflare's API for gateways.

mod support;

use serde_json::{Value, json};
use support::Gateway;

const TOKEN: &str = "cf-token";
const OWN: &str = "sk-own";
const API: &str = "/client/v4/accounts/acc/ai-gateway/gateways";

fn gateway() -> Gateway {
    Gateway::with(&["--key", TOKEN, "--provider-key", OWN])
}

fn asked(model: &str) -> String {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    json!({"model": model, "max_tokens": 100, "messages": messages}).to_string()
}

#[test]
fn each_provider_behind_the_gateway_has_its_rules() {
    let gateway = gateway();
    let (token, own) = (format!("Bearer {TOKEN}"), format!("Bearer {OWN}"));
    let (aig, auth, key) = ("cf-aig-authorization", "authorization", "x-api-key");
    let version = ("anthropic-version", "2023-06-01");
    let (openai, workers) = ("openai/chat/completions", "workers-ai/v1/chat/completions");
    let gemma = "@cf/google/gemma-4-26b-a4b-it";
    for (path, model, headers, status) in [
        // The gateway's own door.
        (openai, "gpt-4.1", vec![], 401),
        (openai, "gpt-4.1", vec![(auth, token.as_str())], 401),
        (openai, "gpt-4.1", vec![(aig, "Bearer other")], 401),
        // Unified billing pays, or an own key does; an empty one is wrong.
        (openai, "gpt-4.1", vec![(aig, &token)], 200),
        (openai, "gpt-4.1", vec![(aig, &token), (auth, &own)], 200),
        (
            openai,
            "gpt-4.1",
            vec![(aig, &token), (auth, "Bearer wrong")],
            401,
        ),
        (
            openai,
            "gpt-4.1",
            vec![(aig, &token), (auth, "Bearer ")],
            401,
        ),
        (openai, "gpt-4.1", vec![(aig, &token), (auth, "")], 401),
        (
            "compat/chat/completions",
            "openai/gpt-4.1",
            vec![(aig, &token)],
            200,
        ),
        (
            "anthropic/v1/messages",
            "claude-haiku-4-5",
            vec![(aig, &token), version],
            200,
        ),
        (
            "anthropic/v1/messages",
            "claude-haiku-4-5",
            vec![(aig, &token), (key, OWN), version],
            200,
        ),
        (
            "anthropic/v1/messages",
            "claude-haiku-4-5",
            vec![(aig, &token), (key, ""), version],
            401,
        ),
        // Workers AI takes the token as its key.
        (workers, gemma, vec![(aig, &token)], 401),
        (workers, gemma, vec![(aig, &token), (auth, &token)], 200),
        (workers, "gpt-4.1", vec![(aig, &token), (auth, &token)], 404),
    ] {
        let path = format!("/v1/acc/sam/{path}");
        let reply = gateway.request("POST", &path, &headers, &asked(model));
        assert_eq!(reply.status, status, "{path} {headers:?}");
    }
    let listed = gateway.request("GET", "/v1/acc/sam/openai/models", &[(aig, &token)], "");
    assert_eq!(listed.json()["data"][0]["id"], "gpt-4.1");
    gateway.post("/control/unpaid", &json!({"provider": "openai"}));
    let path = format!("/v1/acc/sam/{openai}");
    let unpaid = gateway.request("POST", &path, &[(aig, &token)], &asked("gpt-4.1"));
    assert_eq!(unpaid.status, 401);
}

#[test]
fn a_gateway_is_made_and_replaced_and_patched_never() {
    let gateway = gateway();
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method: &str, path: &str, body: &Value| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        gateway.request(method, path, &headers, &body.to_string())
    };
    let one = format!("{API}/sam");
    assert_eq!(gateway.request("GET", &one, &[], "").status, 401);
    assert_eq!(ask("GET", &one, &Value::Null).status, 404);
    let settings = json!({
        "id": "sam", "cache_invalidate_on_update": true, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0,
    });
    assert_eq!(ask("PUT", &one, &settings).status, 404);
    assert_eq!(ask("POST", API, &json!({"id": "sam"})).status, 400);
    assert_eq!(ask("POST", API, &settings).status, 200);
    assert_eq!(ask("POST", API, &settings).status, 409);
    assert_eq!(
        ask("PATCH", &one, &json!({"authentication": true})).status,
        405
    );
    // What is not said is off, and then anybody may call.
    let held = ask("GET", &one, &Value::Null).json();
    assert_eq!(held["result"]["authentication"], false);
    let path = "/v1/acc/sam/openai/chat/completions";
    let open = gateway.request("POST", path, &[], &asked("gpt-4.1"));
    assert_eq!(open.status, 200);
    let mut settings = settings;
    settings["authentication"] = json!(true);
    assert_eq!(ask("PUT", &one, &settings).status, 200);
    let closed = gateway.request("POST", path, &[], &asked("gpt-4.1"));
    assert_eq!(closed.status, 401);
    assert_eq!(closed.json()["error"][0]["code"], 2009);
}
