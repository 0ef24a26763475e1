//! `sam workspace …`: what has a server side works, what has none says so.

mod support;

use sam_domain::id::{Id, NodeId, WorkspaceId};
use sam_domain::task::{TaskState, TaskView};
use sam_domain::time::Timestamp;
use serde_json::{Value, json};
use support::fixtures::{now, project, project_id, task, task_id};
use support::program::Program;
use support::server::Server;

fn workspace() -> WorkspaceId {
    WorkspaceId::mint(Timestamp(1), 21)
}

fn node() -> NodeId {
    NodeId::mint(Timestamp(1), 22)
}

fn placed(state: TaskState) -> TaskView {
    let mut placed = task(state, 1, 0, vec![]);
    placed.since = now();
    placed.workspace = Some(workspace());
    placed.node = Some(node());
    placed.branch = Some("sam/fix".to_owned());
    placed
}

async fn server(tasks: &[TaskView]) -> (Server, Program) {
    let server = Server::start().await;
    let list = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &list);
    let path = format!("/api/projects/{}/tasks", project_id());
    server.on("GET", &path, 200, &json!({ "tasks": tasks }));
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn workspaces_at_work_are_listed_and_with_all_the_others_too() {
    let mut waiting = task(TaskState::Placing, 1, 0, vec![]);
    waiting.workspace = None;
    let tasks = [
        placed(TaskState::Running),
        placed(TaskState::Failed),
        waiting,
    ];
    let (_server, program) = server(&tasks).await;
    let (id, node, task) = (workspace(), node(), task_id());
    let (id, node, task) = (id.short(), node.short(), task.short());
    let heading = "ID        TASK IS    SINCE     NODE      AGENT        TASK      TITLE\n";
    let line = |state: &str| {
        format!("{id}  {state}  just now  {node}  sam-harness  {task}  Fix the failing test\n")
    };
    let ran = program.run(&["workspace", "list"]).await;
    ran.expect(0, &format!("{heading}{}", line("● running")));
    let ran = program.run(&["workspaces", "list", "--all"]).await;
    ran.expect(
        0,
        &format!("{heading}{}{}", line("● running"), line("✗ failed ")),
    );
    let ran = program.run(&["workspace", "list", "--json"]).await;
    let wanted = json!({ "workspaces": [{
        "workspace": workspace(), "node": self::node(), "task": task_id(), "title": "Fix the failing test",
        "agent": "sam-harness", "branch": "sam/fix", "state": "running", "since": tasks[0].since,
    }] });
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), wanted);
}

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let (_server, program) = server(&[placed(TaskState::Completed)]).await;
    let ran = program.run(&["workspace", "list"]).await;
    ran.expect(0, "");
    assert_eq!(
        ran.stderr,
        "There is no workspace at work; with --all those that are over are listed.\n"
    );
}

#[tokio::test]
async fn a_workspaces_diff_is_its_tasks() {
    let (server, program) = server(&[placed(TaskState::Completed)]).await;
    let diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    let path = format!("/api/tasks/{}", task_id());
    server.on("GET", &path, 200, &json!(placed(TaskState::Completed)));
    server.on_text("GET", &format!("{path}/diff"), 200, diff, &[]);
    let (whole, task) = (workspace(), task_id());
    for arguments in [
        &["workspace", "diff", whole.as_str()][..],
        &["workspace", "diff", whole.short()],
        // As other tools have it: the thing before the verb.
        &["workspace", whole.short(), "diff"],
        &["workspace", "diff", task.as_str()],
    ] {
        program.run(arguments).await.expect(0, diff);
    }
    let ran = program.run(&["workspace", "diff", "zzzzzz"]).await;
    ran.expect_error(4, "error: There is no workspace `zzzzzz`.\n");
    for arguments in [
        &["workspace", "diff"][..],
        &["workspace", "aaaaaa", "diff", "bbbbbb"],
    ] {
        let ran = program.run(arguments).await;
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[tokio::test]
async fn what_has_no_server_side_says_so_and_asks_nothing() {
    let (server, program) = server(&[]).await;
    for (arguments, what) in [
        (&["workspace", "ports", "abcd"][..], "`sam workspace ports`"),
        (&["workspace", "abcd", "ports"], "`sam workspace ports`"),
        (
            &[
                "workspace",
                "forward",
                "abcd",
                "--port",
                "3000",
                "--port",
                "3001",
            ],
            "`sam workspace forward`",
        ),
        (&["workspace", "abcd", "forward"], "`sam workspace forward`"),
        (&["workspace", "files", "abcd"], "`sam workspace files`"),
    ] {
        let ran = program.run(arguments).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (7, ""), "{ran:?}");
        assert!(
            ran.stderr
                .starts_with(&format!("error: {what} is not built yet.\n")),
            "{ran:?}"
        );
    }
    assert!(server.requests().is_empty());
}
