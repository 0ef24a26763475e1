//! The same work under several agents, from the command line.

mod support;

use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::comparison::{Candidate, Checks, ComparisonView};
use sam_domain::conversation::wire::{PromptState, SessionView};
use sam_domain::id::Id;
use sam_domain::task::TaskState;
use sam_domain::time::Timestamp;
use serde_json::{Value, json};
use support::fixtures::{
    T0, at, git_result, project, project_id, prompt_id, row_id, session, session_id, setup, task,
    task_id, user_id,
};
use support::program::Program;
use support::server::Server;

async fn server_with_project() -> (Server, Program) {
    let server = Server::start().await;
    let projects = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &projects);
    server.on("GET", "/api/setup/status", 200, &setup(true));
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn work_is_submitted_under_several_agents_at_once() {
    let (server, program) = server_with_project().await;
    let tasks = format!("/api/projects/{}/tasks", project_id());
    let one = json!({ "task": task_id(), "session": session_id(), "prompt": prompt_id(), "row": row_id(1) });
    let mut reply = one.clone();
    reply["others"] = json!([one]);
    server.on("POST", &tasks, 202, &reply);
    let ran = program
        .run(&["task", "submit", "Fix it", "--agents", "goose,codex"])
        .await;
    ran.expect(
        0,
        &format!(
            "Submitted {0} to invoicing.\nSubmitted {0}, the same work.\n",
            task_id()
        ),
    );
    let asked = server.asked("POST", &tasks);
    let wanted = json!({ "prompt": "Fix it", "agents": ["goose", "codex"], "mode": "task" });
    assert_eq!(asked[0].json(), wanted);
    assert_eq!(asked[0].header("idempotency-key").unwrap().len(), 22);
    let both = ["task", "submit", "x", "--agents", "a,b", "--agent", "c"];
    assert_eq!(program.run(&both).await.code, 2, "one or several");
}

/// A server with a task that is done and chosen, and one that failed at the same work.
async fn compared(server: &Server) -> String {
    let conversation = format!("/api/projects/{}/sessions/{}", project_id(), session_id());
    let mut done = task(TaskState::Completed, 3, 95_000, vec![]);
    done.result = Some(git_result());
    let mut failed = task(TaskState::Failed, 3, 7_000, vec![]);
    failed.agent = "codex".to_owned();
    let chosen = SessionView {
        comparison: Some(session_id()),
        chosen: true,
        ..session(2, PromptState::Finished)
    };
    let other = SessionView {
        id: Id::mint(Timestamp(T0), 77),
        chosen: false,
        ..chosen.clone()
    };
    let path = format!("/api/tasks/{}", task_id());
    server.on("GET", &path, 200, &json!(done));
    let used = UsageSummary {
        calls: 12,
        input_tokens: 34_567,
        output_tokens: 89,
        cost: 1_500_000,
        ..UsageSummary::default()
    };
    let view = ComparisonView {
        candidates: vec![
            Candidate {
                session: chosen,
                task: done,
                chosen_by: Some(user_id()),
                chosen_at: Some(at(1)),
                checks: Checks {
                    passed: 1,
                    failed: 0,
                },
                usage: used,
            },
            Candidate {
                session: other,
                task: failed,
                chosen_by: None,
                chosen_at: None,
                checks: Checks::default(),
                usage: UsageSummary::default(),
            },
        ],
    };
    server.on(
        "GET",
        &format!("{conversation}/comparison"),
        200,
        &json!(view),
    );
    conversation
}

#[tokio::test]
async fn agents_are_compared_side_by_side_and_one_is_chosen() {
    let (server, program) = server_with_project().await;
    let conversation = compared(&server).await;
    let ran = program.run(&["task", "compare", task_id().as_str()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| {
            let cells = line.split("  ").map(str::trim);
            cells.filter(|cell| !cell.is_empty()).collect()
        })
        .collect();
    assert_eq!(lines[0], ["Fix the failing test"]);
    let shown = [
        "★",
        "sam-harness",
        "✓ completed",
        "12",
        "34,567",
        "89",
        "$1.50",
        "1 min 35 s",
        "✓ 1",
        "1",
        "+1 −1",
        task_id().short(),
        "sam/fix-the-failing-test-0003",
    ]
    .map(str::to_owned);
    assert_eq!(lines[2], shown);
    assert_eq!(lines[3][..2], ["codex", "✗ failed"], "{:?}", lines[3]);

    let id = task_id();
    let json = ["task", "compare", id.as_str(), "--json"];
    let shown: Value = serde_json::from_str(&program.run(&json).await.stdout).unwrap();
    let first = &shown["candidates"][0];
    assert_eq!(
        (
            &first["took"],
            &first["session"]["chosen"],
            &first["usage"]["calls"]
        ),
        (&json!(95_000), &json!(true), &json!(12))
    );
    let checks = &shown["candidates"][1]["checks"];
    assert_eq!(*checks, json!({ "passed": 0, "failed": 0 }));

    let choose = format!("{conversation}/choose");
    server.on("POST", &choose, 200, &json!({}));
    let ran = program.run(&["task", "choose", task_id().as_str()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(server.asked("POST", &choose).len(), 1);
}
