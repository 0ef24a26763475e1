//! Budgets, keys and the agents that use them: each flag as it is sent, and what is printed.

mod support;

use sam_domain::id::Id;
use serde_json::{Value, json};
use support::fixtures::{now, project, project_id, user_id};
use support::program::Program;
use support::server::Server;

async fn program() -> (Server, Program) {
    let server = Server::start().await;
    let projects = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &projects);
    let ada = json!({ "id": user_id(), "name": "Ada", "role": "admin", "created_at": 0 });
    server.on("GET", "/api/people", 200, &json!({ "people": [ada] }));
    let program = Program::signed_in(&server.url);
    (server, program)
}

/// A budget of which much is spent.
fn budget(limits: &Value) -> Value {
    let spent = |spent: u64, reserved: u64| json!({ "spent": spent, "reserved": reserved, "resets_at": 7_200_000 });
    json!({
        "limits": limits,
        "own": { "daily_tokens": 500_000 },
        "allowance": { "monthly_cost": 20_000_000, "requests_per_minute": 60 },
        "daily_tokens": spent(450_000, 1_000),
        "monthly_cost": spent(7_500_000, 0),
        "monthly_forecast": 22_500_000,
        "requests_per_minute": spent(3, 0),
        "open_calls": 1,
        "warnings": [{ "limit": "daily_tokens", "allowed": 500_000, "spent": 450_000 }],
    })
}

#[tokio::test]
async fn limits_are_sent_where_they_belong_and_what_is_not_named_stays() {
    const ALL: [&str; 6] = [
        "--daily-tokens=2M",
        "--monthly-cost",
        "7.50",
        "--requests-per-minute",
        "none",
        "--json",
    ];
    let of_project = format!("/api/projects/{}/budget", project_id());
    let of_ada = format!("/api/admin/budgets/{}", user_id());
    let for_project = format!("/api/admin/budgets/{}", project_id());
    for (command, path, held) in [
        (vec!["budget", "set"], "/api/budgets", "own"),
        (
            vec!["budget", "set", "-p", "invoicing"],
            &*of_project,
            "own",
        ),
        (
            vec!["budget", "allow", "--person", "ada"],
            &*of_ada,
            "allowance",
        ),
        (
            vec!["budget", "allow", "--project", "invoicing"],
            &*for_project,
            "allowance",
        ),
    ] {
        let (server, program) = program().await;
        let limits = json!({});
        server.on("GET", path, 200, &budget(&limits));
        server.on("PUT", path, 200, &budget(&limits));
        let ran = program.run(&[&command[..], &ALL[..]].concat()).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(printed, budget(&limits), "{command:?}");
        let sent = server.asked("PUT", path)[0].json();
        assert_eq!(sent["daily_tokens"], 2_000_000, "{command:?}");
        assert_eq!(sent["monthly_cost"], 7_500_000, "{command:?}");
        assert!(sent["requests_per_minute"].is_null(), "{command:?}: {sent}");

        // One alone changes that one alone.
        let ran = program
            .run(&[&command[..], &["--requests-per-minute=5"]].concat())
            .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let mut wanted = budget(&limits)[held].clone();
        wanted["requests_per_minute"] = 5.into();
        let given = |limits: &Value| -> Vec<(String, Value)> {
            let fields = limits.as_object().unwrap().iter();
            fields
                .filter(|(_, value)| !value.is_null())
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect()
        };
        assert_eq!(
            given(&server.asked("PUT", path)[1].json()),
            given(&wanted),
            "{command:?}"
        );
    }
}

#[tokio::test]
async fn a_budget_is_told_with_what_is_spent_reserved_and_nearly_used_up() {
    let (server, program) = program().await;
    let limits =
        json!({ "daily_tokens": 500_000, "monthly_cost": 20_000_000, "requests_per_minute": 60 });
    server.on("GET", "/api/budgets", 200, &budget(&limits));
    let of_ada = format!("/api/admin/budgets/{}", user_id());
    server.on("GET", &of_ada, 200, &budget(&json!({})));
    let ran = program.run(&["budget", "show"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "450,000 of 500,000",
        "1,000",
        "reserved",
        "$7.50 of $20.00",
        "$22.50",
        "calls this minute",
        "$20.00 a month",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("Nearly used up"), "{ran:?}");
    let ran = program.run(&["budget", "show", "--person", "Ada"]).await;
    assert!(ran.stdout.contains("without limit"), "{ran:?}");
    assert!(!ran.stdout.contains("calls this minute"), "{ran:?}");
    let ran = program.run(&["budget", "allow", "--daily-tokens=1"]).await;
    ran.expect_error(
        2,
        "error: Whose allowance?\nhint: Name a person with --person or a project with --project.\n",
    );
}

#[tokio::test]
async fn the_comparison_with_the_gateways_log_is_run_or_only_told() {
    let (server, program) = program().await;
    let path = "/api/admin/reconciliation";
    let never = json!({
        "cursor": null, "succeeded_at": null, "tried_at": 1, "problem": "It is refused.",
        "compared": 0, "corrected": 0, "discovered": 0, "drift": [],
    });
    let done = json!({
        "cursor": 1, "succeeded_at": 1, "age": 60_000, "tried_at": 1, "problem": null,
        "compared": 1_200, "corrected": 3, "discovered": 1,
        "drift": [{
            "user": user_id(), "ledger_cost": 1_000_000, "gateway_cost": 1_500_000,
            "corrected": 3, "discovered": 1,
        }],
    });
    server.on("GET", path, 200, &never);
    server.on("POST", path, 200, &done);
    let ran = program.run(&["budget", "reconcile", "--status"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("never") && ran.stdout.contains("It is refused."),
        "{ran:?}"
    );
    assert!(server.asked("POST", path).is_empty());
    let ran = program.run(&["budget", "reconcile"]).await;
    for part in [
        "ago",
        "1,200",
        "ledger $1.00, gateway $1.50",
        user_id().as_str(),
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let ran = program.run(&["budget", "reconcile", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), done);
}

#[tokio::test]
async fn keys_are_listed_switched_and_removed_where_they_belong() {
    let key = |provider: &str, more: Value| {
        let mut key = json!({
            "id": "crd_01jd8x00000000000000000000", "scope": "user", "provider": provider,
            "active": true, "key_id": "secret", "check": "accepted",
            "updated_by": user_id(), "updated_at": now(),
        });
        key.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        key
    };
    let of_project = format!("/api/projects/{}/credentials", project_id());
    for (place, path) in [
        (vec![], "/api/credentials"),
        (vec!["-p", "invoicing"], &*of_project),
        (vec!["--platform"], "/api/admin/credentials"),
    ] {
        let (server, program) = program().await;
        let off = key(
            "workers-ai",
            json!({ "active": false, "check": "unknown", "account": "acc-1" }),
        );
        let listed = json!({ "credentials": [key("openai", json!({ "check": "refused" })), off] });
        server.on("GET", path, 200, &listed);
        let one = format!("{path}/openai");
        server.on("PUT", &one, 200, &key("openai", json!({})));
        server.on("DELETE", &one, 200, &json!({}));

        let ran = program
            .run(&[&["credential", "list"], &place[..]].concat())
            .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        for part in [
            "openai",
            "refused",
            "workers-ai",
            "off",
            "not checked",
            "acc-1",
        ] {
            assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
        }
        let ran = program
            .run(&[&["credential", "list", "--json"], &place[..]].concat())
            .await;
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), listed);
        let ran = program
            .run(&[&["credential", "on", "openai"], &place[..]].concat())
            .await;
        ran.expect(0, "The key for openai is stored.\n");
        assert_eq!(
            server.asked("PUT", &one)[0].json(),
            json!({ "active": true })
        );
        let ran = program
            .run(&[&["credential", "remove", "openai"], &place[..]].concat())
            .await;
        ran.expect(0, "The key for openai is removed.\n");
        let ran = program
            .run(&[&["credential", "remove", "openai", "--json"], &place[..]].concat())
            .await;
        let removed = json!({ "provider": "openai", "removed": true });
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), removed);
        assert_eq!(server.asked("DELETE", &one).len(), 2);
    }
}

#[tokio::test]
async fn agents_are_listed_with_what_is_known_of_them() {
    let (server, program) = program().await;
    let agent = |id: &str, more: Value| {
        let mut agent = json!({
            "id": id, "name": id.to_uppercase(), "status": "untested",
            "dialect": "chat_completions", "permission_modes": ["full", "accept_edits"],
        });
        agent
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        agent
    };
    let known = json!({ "status": "verified", "version": "1.2.3", "verified_on": "2026-11-20" });
    let agents = json!([
        agent("codex", known),
        agent("sam-harness", json!({})),
        agent("custom", json!({}))
    ]);
    let catalog = json!({ "agents": agents, "models": [], "model": { "scripted": true } });
    server.on("GET", "/api/catalog", 200, &catalog);
    let ran = program.run(&["agent", "list"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "✓ verified 2026-11-20",
        "1.2.3",
        "SAM's own",
        "as it is there",
        "chat completions",
        "full, accept-edits",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let ran = program.run(&["agent", "list", "--json"]).await;
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(printed[0], agents[0]);
}

#[tokio::test]
async fn invites_are_listed_and_taken_back_by_their_note() {
    let (server, program) = program().await;
    let id = "inv_01jd8x00000000000000000001";
    let invite = json!({
        "id": id, "role": "member", "note": "for Ben", "created_by": user_id(),
        "created_at": now(), "expires_at": now().0 + 3_600_000,
    });
    let listed = json!({ "invites": [invite] });
    server.on("GET", "/api/people/invites", 200, &listed);
    server.on(
        "DELETE",
        &format!("/api/people/invites/{id}"),
        200,
        &json!({}),
    );
    let ran = program.run(&["people", "invites"]).await;
    assert!(
        ran.stdout.contains("for Ben") && ran.stdout.contains("member"),
        "{ran:?}"
    );
    let ran = program.run(&["people", "invites", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), listed);
    let ran = program.run(&["people", "revoke", "for ben"]).await;
    ran.expect(
        0,
        &format!("Invite {} lets nobody in.\n", &id[id.len() - 8..]),
    );
    let ran = program.run(&["people", "revoke"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("Which invite?") && ran.stderr.contains("for Ben"),
        "{ran:?}"
    );
}
