//! `sam model`, `sam agent`, `sam credential` and `sam admin`: what they send, and what they print.

mod support;

use serde_json::{Value, json};
use support::program::Program;
use support::server::Server;

fn credential(warning: Option<&str>) -> Value {
    json!({
        "id": "crd_01jd8x00000000000000000000", "scope": "user", "provider": "openai",
        "active": true, "key_id": "secret", "check": "refused", "warning": warning,
        "updated_by": "usr_01jd8x00000000000000000000", "updated_at": 1,
    })
}

fn agent(mode: Option<&str>) -> Value {
    json!({
        "agent": "goose", "mode": mode, "chosen_by": if mode.is_some() { "person" } else { "nobody" },
        "choices": ["sam", "own-key"],
    })
}

async fn program() -> (Server, Program) {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn a_key_comes_from_stdin_and_a_warning_is_passed_on() {
    let (server, program) = program().await;
    let path = "/api/credentials/openai";
    server.on(
        "PUT",
        path,
        200,
        &credential(Some("It is refused.\u{1b}[2J")),
    );
    let ran = program
        .run_with(&["credential", "set", "openai"], " sk-canary\n")
        .await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "The key for openai is stored.\n")
    );
    assert!(ran.stderr.contains("It is refused."), "{ran:?}");
    assert!(!format!("{ran:?}").contains("canary"));
    assert_eq!(server.asked("PUT", path)[0].json()["key"], "sk-canary");
    let ran = program
        .run_with(&["credential", "set", "openai"], "\n")
        .await;
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = program.run(&["credential", "set", "closedai"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = program.run(&["credential", "off", "openai"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        server.asked("PUT", path)[1].json(),
        json!({"active": false})
    );
}

#[tokio::test]
async fn an_agents_access_is_chosen_and_shown() {
    let (server, program) = program().await;
    let path = "/api/agents/goose/provider";
    server.on("GET", "/api/agents", 200, &json!({"agents": [agent(None)]}));
    server.on("PUT", path, 200, &agent(Some("own-key")));
    let ran = program.run(&["agent", "provider", "goose"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "Nobody has chosen whose access goose uses.\n")
    );
    assert!(
        ran.stderr.contains("sam agent provider goose sam|own-key"),
        "{ran:?}"
    );
    let ran = program
        .run(&["agent", "provider", "goose", "own-key"])
        .await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "goose uses your own key, or the project's.\n")
    );
    assert_eq!(
        server.asked("PUT", path)[0].json(),
        json!({"mode": "own-key"})
    );
    assert_eq!(
        program
            .run(&["agent", "provider", "goose", "theirs"])
            .await
            .code,
        2
    );
    assert_eq!(program.run(&["agent", "provider", "ghost"]).await.code, 4);
    let own = json!({
        "agent": "codex", "mode": "own-login", "chosen_by": "person",
        "choices": ["sam", "own-key", "own-login"],
    });
    server.on("PUT", "/api/agents/codex/provider", 200, &own);
    let ran = program
        .run(&["agent", "provider", "codex", "own-login"])
        .await;
    assert_eq!(ran.stdout, "codex uses your subscription.\n");
    assert!(ran.stderr.contains("sam agent login codex"), "{ran:?}");
}

#[tokio::test]
async fn a_login_comes_from_a_file_or_stdin_and_is_never_shown() {
    let (server, program) = program().await;
    let path = "/api/agents/codex/login";
    let stored = json!({
        "agent": "codex", "renewable": false, "key_id": "secret", "updated_at": 1,
        "warning": "It works until its token ends.",
    });
    server.on("PUT", path, 200, &stored);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"tokens":{"access_token":"canary"}}"#).unwrap();
    let named = file.path().to_string_lossy().into_owned();
    let ran = program
        .run(&["agent", "login", "codex", "--file", &named])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("until its token ends") && !ran.stdout.contains("canary"));
    let sent = server.asked("PUT", path)[0].json();
    assert_eq!(sent["login"], r#"{"tokens":{"access_token":"canary"}}"#);
    let ran = program
        .run(&["agent", "login", "codex", "--file", "/nowhere/x"])
        .await;
    assert_eq!(ran.code, 2, "{ran:?}");

    server.on("DELETE", path, 200, &json!({}));
    let ran = program.run(&["agent", "logout", "codex"]).await;
    assert_eq!(ran.stdout, "The login of codex is forgotten.\n");
    let lost = json!({
        "agent": "codex", "mode": "own-login", "chosen_by": "person", "choices": ["sam"],
        "login": {"agent": "codex", "needs_sign_in": "refused", "renewable": true, "key_id": "k", "updated_at": 1},
    });
    server.on("GET", "/api/agents", 200, &json!({"agents": [lost]}));
    let ran = program.run(&["agent", "provider"]).await;
    assert!(ran.stdout.contains("needs sign-in"), "{ran:?}");
}

#[tokio::test]
async fn a_model_is_priced_in_dollars_and_listed() {
    let (server, program) = program().await;
    let mut model = json!({
        "id": "gpt-9", "name": "GPT-9", "provider": "openai", "provider_model": "gpt-9",
        "dialects": ["chat"], "tools": "good", "enabled": true, "available": ["sam"],
        "default_for": ["agent"],
        "limits": {"context": 400_000, "output": 9_000, "image": 0},
        "prices": {"input": 250_000, "cached_input": 250_000, "cache_write": 250_000, "output": 2_000_000},
    });
    server.on("PATCH", "/api/models", 200, &model);
    let set = [
        "model",
        "set",
        "gpt-9",
        "--enable",
        "--provider",
        "openai",
        "--context",
        "400k",
        "--max-output",
        "9k",
        "--input",
        "0.25",
        "--output",
        "2",
    ];
    let ran = program.run(&set).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "gpt-9 is enabled.\n"),
        "{ran:?}"
    );
    let sent = server.asked("PATCH", "/api/models")[0].json();
    for field in ["limits", "prices"] {
        assert_eq!(sent[field], model[field], "{field}");
    }
    let mut off = model.clone();
    off["id"] = json!("gpt-10");
    off["available"] = json!([]);
    server.on(
        "GET",
        "/api/models",
        200,
        &json!({"models": [model.take(), off]}),
    );
    let ran = program.run(&["model", "list"]).await;
    assert!(
        ran.stdout.contains("gpt-9") && !ran.stdout.contains("gpt-10"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("$0.25") && ran.stdout.contains("default for agent"),
        "{ran:?}"
    );
    let ran = program.run(&["model", "list", "--all"]).await;
    assert!(ran.stdout.contains("gpt-10"), "{ran:?}");
}

#[tokio::test]
async fn the_doctor_fails_when_something_is_wrong() {
    let (server, program) = program().await;
    let diagnosis = json!({"checks": [
        {"name": "gateway", "health": "ok", "message": "As it is."},
        {"name": "gateway", "health": "failed", "message": "As it is.", "hint": "Mend it."},
    ]});
    server.on("POST", "/api/setup/doctor", 200, &diagnosis);
    let ran = program.run(&["admin", "doctor"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (1, "ok  As it is.\nwrong  As it is.\n")
    );
    assert_eq!(ran.stderr.matches("Mend it.").count(), 1, "{ran:?}");
    let rotated = json!({"key_id": "k1", "moved": 2, "already": 1, "unreadable": []});
    server.on("POST", "/api/admin/rotate-key", 200, &rotated);
    let ran = program.run(&["admin", "rotate-key"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "2 keys are now under k1; 1 were already.\n")
    );
}

#[tokio::test]
async fn everybodys_usage_comes_by_pages_and_is_one_report() {
    let (server, program) = program().await;
    let line = |key: &str| {
        json!({
            "key": key, "calls": 2, "unreported": 1, "input_tokens": 12_000,
            "cached_input_tokens": 1_000, "output_tokens": 500, "cost": 34_567,
        })
    };
    let next = "usr_01jd8x0000000000000000000a";
    let last = json!({
        "by": "day", "from": "2026-11-01", "to": "2026-11-20", "lines": [line("2026-11-20")],
        "total": line("total"), "monthly_forecast": 90_000,
    });
    let mut first = last.clone();
    first["next"] = json!(next);
    first["warnings"] = json!([{"limit": "daily_tokens", "allowed": 100, "spent": 90}]);
    for page in [&first, &last, &first, &last] {
        server.on("GET", "/api/admin/usage", 200, page);
    }
    let ran = program.run(&["usage", "--all", "--csv"]).await;
    assert!(
        ran.stdout
            .ends_with("2026-11-20,,4,2,24000,2000,1000,0.069134\r\n"),
        "{ran:?}"
    );
    let asked = server.requests();
    let asked = asked.last().map(|request| request.path.clone());
    assert_eq!(asked, Some(format!("/api/admin/usage?by=day&after={next}")));
    let ran = program.run(&["usage", "--all"]).await;
    assert!(ran.stdout.contains("4      24,000"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("Nearly used up: 90 tokens of 100 tokens"),
        "{ran:?}"
    );
}
