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
        (
            &[
                "workspace",
                "forward",
                "abcd",
                "--port",
                "3000",
                "--port",
                "3001",
            ][..],
            "`sam workspace forward`",
        ),
        (&["workspace", "abcd", "forward"], "`sam workspace forward`"),
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

#[tokio::test]
async fn a_folder_of_a_workspace_is_listed() {
    let (server, program) = server(&[placed(TaskState::Running)]).await;
    let path = format!("/api/tasks/{}/files", task_id());
    let folder = json!({ "path": "", "kind": "folder", "bytes": 0, "offset": 0, "more": true, "entries": [
        { "name": "\u{1b}[31mred", "kind": "file", "bytes": 2048 },
        { "name": "link", "kind": "link", "bytes": 0 },
        { "name": "src", "kind": "folder", "bytes": 0 },
    ] });
    server.on("GET", &path, 200, &folder);
    let id = workspace();
    let ran = program.run(&["workspace", "files", id.short()]).await;
    ran.expect(0, "NAME  SIZE\nred   2 kB\nlink  link\nsrc   folder\n");
    assert_eq!(ran.stderr, "There are more entries than are shown.\n");
    let ran = program
        .run(&["workspace", "files", id.short(), "--json"])
        .await;
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["entries"][2]["name"], "src");
    assert_eq!(
        server.asked("GET", &format!("{path}?path=")).len(),
        2,
        "{:?}",
        server.requests()
    );
}

#[tokio::test]
async fn a_file_of_a_workspace_is_printed_as_it_is_part_by_part() {
    let (server, program) = server(&[placed(TaskState::Running)]).await;
    let path = format!("/api/tasks/{}/files", task_id());
    let id = workspace();

    let part = |content: &str, offset: u64, more: bool| json!({ "path": "src/a b", "kind": "file", "bytes": 6, "offset": offset, "content": content, "more": more });
    server.on("GET", &path, 200, &part("AAH/", 0, true));
    server.on("GET", &path, 200, &part("YQpi", 3, false));
    let arguments = ["workspace", id.short(), "files", "--path", "src/a b"];
    let ran = program.command(&arguments).output().await.unwrap();
    assert_eq!(ran.stdout, b"\0\x01\xffa\nb", "{ran:?}");
    // The second part begins where the first ended.
    for query in ["?path=src%2Fa+b", "?path=src%2Fa+b&offset=3"] {
        let asked = server.asked("GET", &format!("{path}{query}"));
        assert_eq!(asked.len(), 1, "{:?}", server.requests());
    }
}

#[tokio::test]
async fn a_machine_that_is_away_is_said_to_be() {
    let (server, program) = server(&[placed(TaskState::Running)]).await;
    let away = json!({ "error": { "code": "machine_away", "message": "The machine is away, so it cannot be asked." } });
    let path = format!("/api/tasks/{}", task_id());
    server.on("GET", &format!("{path}/files"), 409, &away);
    server.on("GET", &format!("{path}/ports"), 409, &away);
    let id = workspace();
    for what in ["files", "ports"] {
        let ran = program.run(&["workspace", what, id.short()]).await;
        ran.expect_error(5, "error: The machine is away, so it cannot be asked.\n");
    }
}

#[tokio::test]
async fn the_ports_of_a_workspace_are_listed() {
    let (server, program) = server(&[placed(TaskState::Running)]).await;
    let list = json!({ "ports": [
        { "port": 3000, "address": "127.0.0.1", "program": "node" },
        { "port": 8080, "address": "::", "program": "\u{1b}[2Jsrv" },
    ] });
    let path = format!("/api/tasks/{}/ports", task_id());
    server.on("GET", &path, 200, &list);
    let id = workspace();
    let ran = program.run(&["workspace", "ports", id.short()]).await;
    ran.expect(
        0,
        "PORT  ADDRESS    PROGRAM\n3000  127.0.0.1  node\n8080  ::         srv\n",
    );
    let ran = program
        .run(&["workspace", "ports", id.short(), "--json"])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), list);
}
