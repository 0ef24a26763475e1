//! `sam task retry`: what is sent, and what is printed.

mod support;

use sam_domain::id::{Id, TaskId};
use sam_domain::task::TaskState;
use serde_json::{Value, json};
use support::fixtures::{now, project, prompt_id, row_id, session_id, task, task_id};
use support::program::Program;
use support::server::Server;

fn task_path() -> String {
    format!("/api/tasks/{}", task_id())
}

async fn server() -> (Server, Program) {
    let server = Server::start().await;
    let list = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &list);
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn a_task_is_done_again_as_a_new_one_that_names_it() {
    let (server, program) = server().await;
    let failed = task(TaskState::Failed, 2, 0, vec![]);
    server.on("GET", &task_path(), 200, &json!(failed));
    let new = TaskId::mint(now(), 77);
    let path = format!("{}/retry", task_path());
    let submitted =
        json!({ "task": new, "session": session_id(), "prompt": prompt_id(), "row": row_id(1) });
    server.on("POST", &path, 202, &submitted);
    let id = task_id();
    let ran = program.run(&["task", "retry", id.as_str()]).await;
    let said = format!(
        "Submitted {new}, which does the work of {} again.\n",
        id.short()
    );
    ran.expect(0, &said);
    assert_eq!(
        ran.stderr,
        format!("Watch it: sam task follow {}\n", new.short())
    );
    let asked = server.asked("POST", &path);
    assert_eq!((asked.len(), asked[0].body.as_str()), (1, ""));
    assert!(asked[0].header("idempotency-key").is_some());
    let ran = program.run(&["task", "retry", id.as_str(), "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        submitted
    );
}

#[tokio::test]
async fn its_status_says_whose_work_it_does_again() {
    let (server, program) = server().await;
    let id = task_id();
    let mut again = task(TaskState::Queued, 1, 0, vec![]);
    again.retry_of = Some(id.clone());
    server.on("GET", &task_path(), 200, &json!(again));
    let ran = program.run(&["task", "status", id.as_str()]).await;
    let line = format!("  again    the work of {}\n", id.short());
    assert!(ran.stdout.contains(&line), "{ran:?}");
}

#[tokio::test]
async fn a_task_that_is_open_is_not_done_again() {
    let (server, program) = server().await;
    let running = task(TaskState::Running, 2, 0, vec![]);
    server.on("GET", &task_path(), 200, &json!(running));
    let refusal = json!({ "error": {
        "code": "still_open", "message": "This task is still running.", "hint": "Cancel it first.",
    } });
    server.on("POST", &format!("{}/retry", task_path()), 409, &refusal);
    let id = task_id();
    let ran = program.run(&["task", "retry", id.as_str()]).await;
    ran.expect_error(
        5,
        "error: This task is still running.\nhint: Cancel it first.\n",
    );
}
