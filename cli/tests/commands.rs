//! What the commands send, and what they print.

mod support;

use sam_domain::conversation::row::PermissionState;
use sam_domain::conversation::wire::PROMPT_LIMIT;
use sam_domain::error::{Failure, Fault};
use sam_domain::id::Id;
use sam_domain::task::{StepName, TaskState};
use serde_json::{Value, json};
use support::fixtures::{
    answer, git_result, now, permission, project, project_id, prompt_id, row_id, session_id, setup,
    step, task, task_id,
};
use support::program::{Program, TOKEN};
use support::server::Server;

fn projects(names: &[&str]) -> Value {
    let projects: Vec<_> = (1..).zip(names).map(|(n, name)| project(n, name)).collect();
    json!({ "projects": projects })
}

fn submitted() -> Value {
    json!({ "task": task_id(), "session": session_id(), "prompt": prompt_id(), "row": row_id(1) })
}

fn tasks_path() -> String {
    format!("/api/projects/{}/tasks", project_id())
}

fn task_path() -> String {
    format!("/api/tasks/{}", task_id())
}

async fn server_with_project() -> (Server, Program) {
    let server = Server::start().await;
    server.on("GET", "/api/projects", 200, &projects(&["invoicing"]));
    server.on("GET", "/api/setup/status", 200, &setup(true));
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn a_submitted_task_sends_what_its_flags_say() {
    let cases: [(&[&str], &str, Value); 7] = [
        (
            &["Fix it"],
            "",
            json!({ "prompt": "Fix it", "mode": "task" }),
        ),
        (
            &["Fix it", "--agent", "goose"],
            "",
            json!({ "prompt": "Fix it", "mode": "task", "agent": "goose" }),
        ),
        (
            &["Fix it", "--mode", "conversation"],
            "",
            json!({ "prompt": "Fix it", "mode": "conversation" }),
        ),
        (
            &["Fix it", "--permission-mode", "accept-edits"],
            "",
            json!({ "prompt": "Fix it", "mode": "task", "permission_mode": "accept_edits" }),
        ),
        (
            &["Fix it", "--base", "release/2"],
            "",
            json!({ "prompt": "Fix it", "mode": "task", "base": "release/2" }),
        ),
        (
            &["Fix it", "--project", "INVOICING", "--json"],
            "",
            json!({ "prompt": "Fix it", "mode": "task" }),
        ),
        (
            &["-"],
            "From a pipe:\n  fix it\n",
            json!({ "prompt": "From a pipe:\n  fix it", "mode": "task" }),
        ),
    ];
    for (flags, stdin, wanted) in cases {
        let (server, program) = server_with_project().await;
        server.on("POST", &tasks_path(), 202, &submitted());
        let arguments = [&["task", "submit"], flags].concat();
        let ran = program.run_with(&arguments, stdin).await;
        if flags.contains(&"--json") {
            assert_eq!(
                serde_json::from_str::<Value>(&ran.stdout).unwrap(),
                submitted()
            );
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        } else {
            ran.expect(0, &format!("Submitted {} to invoicing.\n", task_id()));
            assert_eq!(
                ran.stderr,
                format!(
                    "The model is a scripted stand-in, not a real one.\nWatch it: sam task follow {}\n",
                    task_id().short()
                )
            );
        }
        let asked = server.asked("POST", &tasks_path());
        assert_eq!(asked.len(), 1, "{flags:?}");
        assert_eq!(asked[0].json(), wanted, "{flags:?}");
        assert_eq!(asked[0].header("content-type"), Some("application/json"));
        assert_eq!(
            asked[0].header("authorization"),
            Some(format!("Bearer {TOKEN}").as_str())
        );
        assert_eq!(asked[0].header("idempotency-key").unwrap().len(), 22);
    }
}

#[tokio::test]
async fn an_unanswered_submission_is_repeated_with_its_key() {
    let (server, program) = server_with_project().await;
    server.on_silence("POST", &tasks_path());
    server.on("POST", &tasks_path(), 202, &submitted());
    let ran = program.run(&["task", "submit", "Fix it"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = server.asked("POST", &tasks_path());
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0].header("idempotency-key"),
        asked[1].header("idempotency-key")
    );
    assert_eq!(asked[0].body, asked[1].body);

    let ran = program.run(&["task", "submit", "Fix it"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = server.asked("POST", &tasks_path());
    assert_ne!(
        asked[1].header("idempotency-key"),
        asked[2].header("idempotency-key"),
        "two equal submissions are two tasks"
    );
}

#[tokio::test]
async fn an_empty_or_huge_prompt_is_not_sent() {
    let (server, program) = server_with_project().await;
    for stdin in ["  \n", &"x".repeat(PROMPT_LIMIT + 1)] {
        let ran = program.run_with(&["task", "submit", "-"], stdin).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_prompt_of_three_megabytes_is_sent_whole() {
    let (server, program) = server_with_project().await;
    server.on("POST", &tasks_path(), 202, &submitted());
    let words = "x".repeat(3_000_000);
    let ran = program.run_with(&["task", "submit", "-"], &words).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        server.asked("POST", &tasks_path())[0].json()["prompt"],
        words
    );
}

#[tokio::test]
async fn a_created_project_sends_an_absolute_path_and_becomes_current() {
    let server = Server::start().await;
    server.on(
        "POST",
        "/api/projects",
        201,
        &json!(project(1, "invoicing")),
    );
    let program = Program::signed_in(&server.url);
    let repository = program.home.path().join("code").join("invoicing");
    std::fs::create_dir_all(repository.join(".git")).unwrap();
    let ran = program
        .run(&[
            "project",
            "create",
            "--repo",
            "code/../code/invoicing",
            "--name",
            "invoicing",
            "--agent",
            "goose",
        ])
        .await;
    ran.expect(
        0,
        "Created invoicing for /repos/invoicing; it is now the current project.\n",
    );
    let asked = server.asked("POST", "/api/projects");
    assert_eq!(
        asked[0].json(),
        json!({
            "repository": repository.canonicalize().unwrap(),
            "name": "invoicing",
            "default_agent": "goose",
        })
    );
    assert!(asked[0].header("idempotency-key").is_some());
    // Several projects: the created one is meant.
    server.on(
        "GET",
        "/api/projects",
        200,
        &projects(&["invoicing", "other"]),
    );
    server.on("POST", &tasks_path(), 202, &submitted());
    server.on("GET", "/api/setup/status", 200, &setup(false));
    let ran = program.run(&["task", "submit", "Fix it"]).await;
    ran.expect(0, &format!("Submitted {} to invoicing.\n", task_id()));
    assert_eq!(
        ran.stderr,
        format!("Watch it: sam task follow {}\n", task_id().short())
    );
}

#[tokio::test]
async fn what_is_no_repository_is_not_sent() {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    std::fs::create_dir(program.home.path().join("plain")).unwrap();
    for (repository, message) in [
        ("plain", "is not a git repository"),
        ("git@example.com:a/b.git", "over ssh"),
        ("ftp://example.com/a", "ftp:// are not supported"),
        (
            "https://me:password-canary@example.com/a",
            "carries a user or password",
        ),
    ] {
        let ran = program
            .run(&["project", "create", "--repo", repository])
            .await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(message), "{ran:?}");
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn projects_are_listed_chosen_and_shown() {
    let server = Server::start().await;
    server.on(
        "GET",
        "/api/projects",
        200,
        &projects(&["invoicing", "web"]),
    );
    let program = Program::signed_in(&server.url);
    let ran = program.run(&["task", "list"]).await;
    ran.expect_error(
        2,
        "error: Which project?\n  prj_01hf7yat000000000000000001 invoicing\n  prj_01hf7yat00000000000000004t web\nhint: Choose one with `sam project use <name>`, or pass --project <name>.\n",
    );
    let ran = program.run(&["project", "use", "web"]).await;
    ran.expect(0, "web is now the current project.\n");
    let ran = program.run(&["project", "list"]).await;
    let (first, second) = (project(1, "invoicing"), project(2, "web"));
    ran.expect(
        0,
        &format!(
            "   NAME       AGENT        CREATED   ID        REPOSITORY\n   \
             invoicing  sam-harness  just now  {}  /repos/invoicing\n\
             *  web        sam-harness  just now  {}  /repos/web\n",
            first.id.short(),
            second.id.short()
        ),
    );
    let ran = program.run(&["project", "show"]).await;
    ran.expect(
        0,
        &format!(
            "  name        web\n  repository  /repos/web\n  agent       sam-harness\n  \
             your role   owner\n  created     just now\n  id          {}\n",
            second.id
        ),
    );
    let ran = program.run(&["project", "show", "nothing"]).await;
    ran.expect_error(
        4,
        "error: There is no project `nothing`.\nhint: See `sam project list`.\n",
    );
    let ran = program.run(&["project", "list", "--json"]).await;
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["projects"][1]["id"], json!(second.id));
}

#[tokio::test]
async fn the_environment_alone_is_enough() {
    let (server, program) = server_with_project().await;
    server.on("GET", &tasks_path(), 200, &json!({ "tasks": [] }));
    let program = program.env("HOME", "").env("XDG_CONFIG_HOME", "");
    let ran = program.run(&["task", "list"]).await;
    ran.expect(0, "");
    assert_eq!(
        ran.stderr,
        "There is no task yet: sam task submit \"what is to be done\"\n"
    );
}

#[tokio::test]
async fn a_task_list_is_cleaned_of_escapes() {
    let (server, program) = server_with_project().await;
    let mut running = task(TaskState::Running, 1, 0, vec![]);
    running.created_at = now();
    running.title = "\u{1b}]0;owned\u{7}Fix \u{1b}[2Jthe \u{202e}test\r\nnow".to_owned();
    let mut done = task(TaskState::Completed, 1, 0, vec![]);
    done.created_at = now();
    done.title = "A".repeat(80);
    server.on(
        "GET",
        &tasks_path(),
        200,
        &json!({ "tasks": [running, done] }),
    );
    let ran = program.run(&["task", "list", "--limit", "2"]).await;
    let id = task_id();
    let id = id.short();
    ran.expect(
        0,
        &format!(
            "ID        STATE        CREATED   AGENT        TITLE\n\
             {id}  ● running    just now  sam-harness  Fix the test now\n\
             {id}  ✓ completed  just now  sam-harness  {}…\n",
            "A".repeat(59)
        ),
    );
    assert_eq!(
        server
            .asked("GET", &format!("{}?limit=2", tasks_path()))
            .len(),
        1
    );
}

#[tokio::test]
async fn a_failed_tasks_status_says_where_why_and_what_next() {
    let (server, program) = server_with_project().await;
    let mut failed = task(
        TaskState::Failed,
        9,
        2_900,
        vec![
            step(StepName::Placing, 0, Some(400), ""),
            step(StepName::Preparing, 400, Some(2_900), "cloning"),
        ],
    );
    failed.created_at = now();
    failed.failure = Some(Failure {
        step: StepName::Preparing,
        code: "clone_failed".to_owned(),
        message: "The repository could not be cloned.".to_owned(),
        hint: Some("Check its address.".to_owned()),
        fault: Fault::Environment,
    });
    server.on("GET", &task_path(), 200, &json!(failed));
    let usage = json!({ "calls": 0, "unreported": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0, "ends": {} });
    server.on("GET", &format!("{}/usage", task_path()), 200, &usage);
    let id = task_id();
    let ran = program.run(&["task", "status", id.as_str()]).await;
    ran.expect(
        0,
        &format!(
            "✗ failed  Fix the failing test\n  task     {id}\n  agent    sam-harness\n  \
             created  just now\n  model    0 calls, 0 tokens in, 0 out\n\
             ✓ placing      0.4 s\n✗ preparing    2.5 s  cloning\n\
             failed while preparing: The repository could not be cloned. \
             (the machine, the repository, the agent or the model)\n\
             hint: Check its address.\n"
        ),
    );
    let ran = program
        .run(&["task", "status", id.as_str(), "--json"])
        .await;
    let mut wanted = json!(failed);
    wanted["usage"] = usage;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), wanted);
}

#[tokio::test]
async fn short_ids_are_looked_up_and_doubtful_ones_refused() {
    let (server, program) = server_with_project().await;
    let id = task_id();
    let done = task(TaskState::Cancelled, 2, 0, vec![]);
    let list = json!({ "tasks": [done] });
    server.on("GET", &tasks_path(), 200, &list);
    server.on("GET", &task_path(), 200, &json!(done));
    server.on("POST", &format!("{}/cancel", task_path()), 202, &json!({}));
    let ran = program.run(&["task", "cancel", id.short()]).await;
    ran.expect(0, &format!("{id} is cancelled.\n"));
    let asked = server.asked("POST", &format!("{}/cancel", task_path()));
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("idempotency-key").is_some());

    let ran = program.run(&["task", "cancel", "zzzzzz"]).await;
    ran.expect_error(
        4,
        "error: There is no task `zzzzzz`. It was looked for in the project invoicing.\n\
         hint: See `sam task list`; name another project with --project.\n",
    );
    let ran = program.run(&["task", "cancel", "abc"]).await;
    assert_eq!(ran.code, 2);

    server.on("GET", &tasks_path(), 200, &json!({ "tasks": [done, done] }));
    let ran = program.run(&["task", "status", "bogus-"]).await;
    assert_eq!(ran.code, 4);
    let ran = program.run(&["task", "status", id.short()]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("could be several tasks"), "{ran:?}");
}

#[tokio::test]
async fn a_diff_is_the_servers_bytes_when_piped() {
    let (server, program) = server_with_project().await;
    let done = task(TaskState::Completed, 2, 0, vec![]);
    server.on("GET", &task_path(), 200, &json!(done));
    let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\t\u{1b}[0m\n+b\n";
    server.on_text("GET", &format!("{}/diff", task_path()), 200, diff, &[]);
    let id = task_id();
    program
        .run(&["task", "diff", id.as_str()])
        .await
        .expect(0, diff);
}

#[tokio::test]
async fn closing_asks_the_server_and_says_where_the_task_stands() {
    let (server, program) = server_with_project().await;
    let finishing = task(TaskState::Finishing, 2, 0, vec![]);
    server.on("GET", &task_path(), 200, &json!(finishing));
    server.on("POST", &format!("{}/close", task_path()), 202, &json!({}));
    let id = task_id();
    let ran = program.run(&["task", "close", id.as_str()]).await;
    ran.expect(0, &format!("Closing {id}; it is still finishing.\n"));
}

#[tokio::test]
async fn a_prompt_goes_into_the_tasks_conversation() {
    let (server, program) = server_with_project().await;
    let mut done = task(TaskState::Completed, 2, 0, vec![]);
    done.result = Some(git_result());
    server.on("GET", &task_path(), 200, &json!(done));
    let path = format!(
        "/api/projects/{}/sessions/{}/prompts",
        project_id(),
        session_id()
    );
    let accepted = json!({ "prompt": prompt_id(), "row": row_id(9), "task": task_id() });
    server.on("POST", &path, 202, &accepted);
    let id = task_id();
    let ran = program
        .run(&["task", "prompt", id.as_str(), "And now the docs"])
        .await;
    ran.expect(0, &format!("Sent to {id}.\n"));
    let asked = server.asked("POST", &path);
    assert_eq!(asked[0].json(), json!({ "text": "And now the docs" }));
    assert!(asked[0].header("idempotency-key").is_some());
}

/// A server on which the agent asks, and has asked before.
async fn server_with_questions() -> (Server, Program) {
    let (server, program) = server_with_project().await;
    let running = task(TaskState::Running, 2, 0, vec![]);
    server.on("GET", &task_path(), 200, &json!(running));
    let rows = json!([
        permission(1, "Run ls", PermissionState::Open),
        answer(2, 1),
        permission(3, "Run rm", PermissionState::Open),
        permission(4, "Run cat", PermissionState::Expired),
    ]);
    let page = json!({ "rows": rows, "as_of": 4, "has_before": false, "has_after": false });
    let path = format!(
        "/api/projects/{}/sessions/{}/messages",
        project_id(),
        session_id()
    );
    server.on("GET", &path, 200, &page);
    (server, program)
}

#[tokio::test]
async fn what_an_agent_asks_is_shown_and_answered() {
    let (_server, program) = server_with_questions().await;
    let id = task_id();
    let ran = program.run(&["task", "answer", id.as_str()]).await;
    let listed = format!(
        "? {}  Run rm\n    yes  Yes\n    always  Always\n    no  No\n",
        row_id(3).short()
    );
    ran.expect(0, &listed);

    for (arguments, option) in [
        (&["yes"][..], "yes"),
        (&["always"], "always"),
        (&["--allow"], "yes"),
        (&["--reject"], "no"),
    ] {
        let (server, program) = server_with_questions().await;
        let path = format!(
            "/api/projects/{}/sessions/{}/permissions/{}",
            project_id(),
            session_id(),
            row_id(3)
        );
        let accepted = json!({ "permission": row_id(3), "row": row_id(9), "option": option });
        server.on("POST", &path, 202, &accepted);
        let arguments = [&["task", "answer", id.as_str()], arguments].concat();
        let ran = program.run(&arguments).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        let asked = server.asked("POST", &path);
        assert_eq!(asked[0].json(), json!({ "option": option }));
    }

    let ran = program.run(&["task", "answer", id.as_str(), "maybe"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("yes, always, no"), "{}", ran.stderr);
}

#[tokio::test]
async fn nodes_are_listed_and_join_tokens_minted() {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    let node = json!({
        "id": "nod_01jd8x0000000000000000abcd",
        "owner": support::fixtures::user_id(),
        "name": "laptop",
        "class": "own",
        "state": "ready",
        "since": now(),
        "facts": {
            "os": "linux", "arch": "x86_64", "hostname": "laptop", "cpus": 2,
            "memory_bytes": 8_u64 << 30, "disk_free_bytes": 1, "version": "0.1.0",
            "agents": ["sam-harness", "goose"], "max_workspaces": 4,
        },
        "workspaces": 1,
        "rev": 1,
    });
    server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node] }));
    let ran = program.run(&["node", "list"]).await;
    ran.expect(
        0,
        "NAME    STATE    SINCE     WORK  MACHINE                     AGENTS              ID\n\
         laptop  ● ready  just now  1/4   linux/x86_64, 2 cpus, 8 GB  sam-harness, goose  0000abcd\n",
    );
    let token = json!({ "token": "sam_join_0123456789abcdef", "expires_at": now().0 + 3_599_000 });
    server.on("POST", "/api/nodes/join-tokens", 201, &token);
    let ran = program.run(&["node", "join-token"]).await;
    ran.expect(0, "sam_join_0123456789abcdef\n");
    assert!(
        ran.stderr.contains(&format!("--url {} ", server.url)),
        "{ran:?}"
    );
    let ran = program.run(&["node", "join-token", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), token);
}

#[tokio::test]
async fn each_refusal_has_its_exit_code() {
    for (status, code, wanted) in [
        (401, "unauthenticated", 3),
        (403, "forbidden", 5),
        (404, "not_found", 4),
        (409, "idempotency_conflict", 5),
        (422, "bad_request", 5),
        (429, "slow_down", 5),
        (500, "internal", 6),
        (503, "unavailable", 6),
    ] {
        let server = Server::start().await;
        let refusal = json!({ "error": { "code": code, "message": "So it is.\u{1b}[2J" } });
        server.on("GET", "/api/nodes", status, &refusal);
        let program = Program::signed_in(&server.url);
        let ran = program.run(&["node", "list"]).await;
        assert_eq!(ran.code, wanted, "{status}");
        assert!(ran.stderr.starts_with("error: So it is.\n"), "{ran:?}");
    }
    let ran = Program::signed_in("http://127.0.0.1:9")
        .run(&["node", "list"])
        .await;
    assert_eq!(ran.code, 6);
    for planned in [vec!["workspace", "forward", "abcd"], vec!["acp"]] {
        let ran = Program::new("http://127.0.0.1:9").run(&planned).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (7, ""), "{planned:?}");
        assert!(ran.stderr.contains("is not built yet."), "{ran:?}");
    }
}

fn budget() -> Value {
    json!({
        "limits": { "daily_tokens": 500_000 },
        "own": { "daily_tokens": 500_000 },
        "allowance": { "daily_tokens": 2_000_000 },
        "daily_tokens": { "spent": 450_000, "reserved": 1_000, "resets_at": now().0 + 7_200_000 },
        "monthly_cost": { "spent": 1_500_000, "reserved": 0, "resets_at": now().0 + 864_000_000 },
        "monthly_forecast": 4_500_000,
        "requests_per_minute": { "spent": 0, "reserved": 0, "resets_at": now().0 + 60_000 },
        "open_calls": 1,
        "warnings": [{ "limit": "daily_tokens", "allowed": 500_000, "spent": 450_000 }],
    })
}

#[tokio::test]
async fn a_budget_is_shown_and_only_what_is_named_is_set() {
    let (server, program) = server_with_project().await;
    server.on("GET", "/api/budgets", 200, &budget());
    server.on("PUT", "/api/budgets", 200, &budget());
    let ran = program.run(&["budget", "show"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in [
        "450,000 of 500,000 tokens, 1,000 tokens reserved",
        "$1.50 without limit",
        "2,000,000 tokens a day",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {ran:?}");
    }
    assert!(ran.stderr.contains("Nearly used up"), "{ran:?}");
    let set = ["budget", "set", "--monthly-cost", "7.50"];
    assert_eq!(program.run(&set).await.code, 0);
    let sent = server
        .requests()
        .into_iter()
        .find(|sent| sent.method == "PUT");
    let body: Value = serde_json::from_str(&sent.unwrap().body).unwrap();
    assert_eq!(
        body,
        json!({ "daily_tokens": 500_000, "monthly_cost": 7_500_000 })
    );
    assert_eq!(program.run(&["budget", "set"]).await.code, 2);
}

#[tokio::test]
async fn usage_is_a_table_or_csv() {
    let (server, program) = server_with_project().await;
    let line = |key: &str| {
        json!({
            "key": key, "calls": 2, "unreported": 1, "input_tokens": 12_000,
            "cached_input_tokens": 1_000, "output_tokens": 500, "cost": 34_567,
        })
    };
    let report = json!({
        "by": "day", "from": "2026-11-01", "to": "2026-11-20", "lines": [line("2026-11-20")],
        "total": line("total"), "monthly_forecast": 90_000,
    });
    server.on("GET", "/api/usage", 200, &report);
    server.on_text(
        "GET",
        "/api/usage",
        200,
        "day,calls\r\n2026-11-20,2\r\n",
        &[],
    );
    let ran = program.run(&["usage"]).await;
    ran.expect(
        0,
        "DAY         CALLS  INPUT   CACHED  OUTPUT  COST\n\
         2026-11-20  2      12,000  1,000   500     $0.034567\n\
         total       2      12,000  1,000   500     $0.034567\n",
    );
    assert!(ran.stderr.contains("this month costs $0.09"), "{ran:?}");
    program
        .run(&["usage", "--csv"])
        .await
        .expect(0, "day,calls\r\n2026-11-20,2\r\n");
    assert_eq!(program.run(&["usage", "--by", "week"]).await.code, 2);
}

#[tokio::test]
async fn a_redirect_does_not_take_the_token_elsewhere() {
    let elsewhere = Server::start().await;
    let server = Server::start().await;
    let target = format!("{}/api/nodes", elsewhere.url);
    server.on_text("GET", "/api/nodes", 307, "", &[("location", &target)]);
    let ran = Program::signed_in(&server.url).run(&["node", "list"]).await;
    assert_eq!(ran.code, 6);
    assert!(ran.stderr.contains("redirect"), "{ran:?}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    let server = Server::start().await;
    server.on_text("GET", "/api/nodes", 200, "<html>a page</html>", &[]);
    let ran = Program::signed_in(&server.url).run(&["node", "list"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""));
}
