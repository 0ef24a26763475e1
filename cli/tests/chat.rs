//! `sam chat …`: what is sent, what is printed, and how it ends.

mod support;

use sam_domain::conversation::row::PermissionState;
use sam_domain::conversation::wire::{ActivityState, PromptState, SessionView};
use sam_domain::error::{Failure, Fault};
use sam_domain::id::Id;
use sam_domain::task::{StepName, TaskState, TaskView};
use serde_json::{Value, json};
use support::fixtures::{
    hello, now, permission, person, project, project_changes, project_id, project_scope, prompt_id,
    row_changes, row_id, session, session_id, session_scope, setup, task, task_id, text,
};
use support::program::{Program, TOKEN};
use support::server::{Server, Step};

fn submitted() -> Value {
    json!({ "task": task_id(), "session": session_id(), "prompt": prompt_id(), "row": row_id(1) })
}

fn accepted() -> Value {
    json!({ "prompt": prompt_id(), "row": row_id(1), "task": task_id() })
}

fn tasks_path() -> String {
    format!("/api/projects/{}/tasks", project_id())
}

fn sessions_path() -> String {
    format!("/api/projects/{}/sessions", project_id())
}

fn session_path() -> String {
    format!("{}/{}", sessions_path(), session_id())
}

fn spoken() -> SessionView {
    let mut spoken = session(1, PromptState::Finished);
    spoken.updated_at = now();
    spoken
}

async fn talking() -> (Server, Program) {
    let server = Server::start().await;
    let list = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &list);
    server.on("GET", "/api/setup/status", 200, &setup(true));
    server.on("POST", &tasks_path(), 202, &submitted());
    server.on("GET", &session_path(), 200, &json!(spoken()));
    server.on(
        "GET",
        &sessions_path(),
        200,
        &json!({ "sessions": [spoken()] }),
    );
    server.on(
        "POST",
        &format!("{}/prompts", session_path()),
        202,
        &accepted(),
    );
    let program = Program::signed_in(&server.url);
    (server, program)
}

#[tokio::test]
async fn a_conversation_begins_with_what_its_flags_say() {
    let said = json!({ "prompt": "Hello", "mode": "conversation" });
    let with = |field: &str, value: &str| {
        let mut body = said.clone();
        body[field] = json!(value);
        body
    };
    let cases: [(&[&str], &str, Value); 8] = [
        (&["chat", "Hello", "--detach"], "", said.clone()),
        (
            &["chat", "Hello", "-d", "--agent", "goose"],
            "",
            with("agent", "goose"),
        ),
        (
            &["chat", "-d", "--base", "release/2", "Hello"],
            "",
            with("base", "release/2"),
        ),
        (
            &["chat", "Hello", "-d", "--permission-mode", "ask"],
            "",
            with("permission_mode", "ask"),
        ),
        (
            &["chat", "Hello", "-d", "-p", "INVOICING"],
            "",
            said.clone(),
        ),
        (&["chat", "new", "Hello"], "", said.clone()),
        (
            &["chats", "new", "Hello", "--agent", "goose"],
            "",
            with("agent", "goose"),
        ),
        (&["chat", "new", "-", "--json"], "Hello\n", said.clone()),
    ];
    for (arguments, stdin, wanted) in cases {
        let (server, program) = talking().await;
        let ran = program.run_with(arguments, stdin).await;
        if arguments.contains(&"--json") {
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
            assert_eq!(
                serde_json::from_str::<Value>(&ran.stdout).unwrap(),
                submitted()
            );
        } else {
            ran.expect(0, &format!("Began {} in invoicing.\n", session_id()));
            assert_eq!(
                ran.stderr,
                format!("Read it: sam chat read {}\n", session_id().short())
            );
        }
        let asked = server.asked("POST", &tasks_path());
        assert_eq!(asked.len(), 1, "{arguments:?}");
        assert_eq!(asked[0].json(), wanted, "{arguments:?}");
        assert_eq!(
            asked[0].header("authorization"),
            Some(format!("Bearer {TOKEN}").as_str())
        );
        assert_eq!(asked[0].header("idempotency-key").unwrap().len(), 22);
    }
}

#[tokio::test]
async fn nothing_to_say_is_not_sent() {
    let (server, program) = talking().await;
    for arguments in [
        &["chat"][..],
        &["chat", "  "],
        &["chat", "new", ""],
        &["chat", "send", session_id().short(), " "],
        &["chat", "search", " "],
        &["chat", "Hello", "list"],
    ] {
        let ran = program.run(arguments).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn more_is_said_to_a_conversation_by_id_end_title_or_task() {
    let (id, task) = (session_id(), task_id());
    for named in [
        id.as_str(),
        id.short(),
        "fix the FAILING test",
        task.as_str(),
    ] {
        let (server, program) = talking().await;
        let of_task = support::fixtures::task(TaskState::AwaitingInput, 1, 0, vec![]);
        server.on("GET", &format!("/api/tasks/{task}"), 200, &json!(of_task));
        let ran = program.run(&["chat", "send", named, "And then?"]).await;
        ran.expect(0, &format!("Sent to {id}.\n"));
        let asked = server.asked("POST", &format!("{}/prompts", session_path()));
        assert_eq!(asked.len(), 1, "{named}");
        assert_eq!(asked[0].json(), json!({ "text": "And then?" }));
        assert!(asked[0].header("idempotency-key").is_some());
    }
    let (_server, program) = talking().await;
    let ran = program.run(&["chat", "send", "another", "x"]).await;
    ran.expect_error(
        4,
        "error: There is no conversation `another`. It was looked for in the project invoicing.\n\
         hint: See `sam chat list`; name another project with --project.\n",
    );
    let ran = program
        .run(&["chat", "send", id.short(), "x", "--json"])
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        accepted()
    );
}

#[tokio::test]
async fn what_waits_is_shown_changed_and_taken_back_and_a_turn_is_stopped() {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    let projects = json!({ "projects": [project(1, "invoicing")] });
    server.on("GET", "/api/projects", 200, &projects);
    let id = session_id();
    let waiting = session(1, PromptState::Queued);
    server.on("GET", &session_path(), 200, &json!(waiting));
    let list = json!({ "sessions": [waiting] });
    server.on("GET", &sessions_path(), 200, &list);
    let messages = json!({
        "rows": [person(1, 1, 0, "Fix it\nat once")], "as_of": 1, "has_before": false, "has_after": false,
    });
    server.on(
        "GET",
        &format!("{}/messages", session_path()),
        200,
        &messages,
    );
    let prompt = &waiting.prompts[0];
    let ran = program.run(&["chat", "queue", id.as_str()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.stdout.lines().nth(1).unwrap_or_default();
    for shown in [prompt.id.short(), "○ queued", "Fix it"] {
        assert!(line.contains(shown), "{ran:?}");
    }
    let ran = program.run(&["chat", "queue", id.as_str(), "--json"]).await;
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&shown[0]["state"], &shown[0]["text"]),
        (&json!("queued"), &json!("Fix it\nat once"))
    );

    let path = format!("{}/prompts/{}", session_path(), prompt.id);
    server.on("PATCH", &path, 200, &json!(prompt));
    let short = prompt.id.short();
    let ran = program
        .run(&["chat", "edit", id.as_str(), short, "Leave it"])
        .await;
    ran.expect(0, &format!("Changed {}, which still waits.\n", prompt.id));
    assert_eq!(
        server.asked("PATCH", &path)[0].json(),
        json!({ "text": "Leave it" })
    );
    server.on("DELETE", &path, 200, &json!({}));
    let ran = program.run(&["chat", "unsend", id.as_str(), short]).await;
    ran.expect(0, &format!("Took {} back.\n", prompt.id));
    let gone = program
        .run(&["chat", "unsend", id.as_str(), "zzzzzzzz"])
        .await;
    assert_eq!(gone.code, 4, "{gone:?}");

    server.on(
        "POST",
        &format!("{}/cancel", session_path()),
        200,
        &json!({}),
    );
    let ran = program.run(&["chat", "stop", id.as_str()]).await;
    ran.expect(0, &format!("Told the agent of {id} to stop.\n"));
}

/// The feed of a conversation whose last words stand there, with these rows.
fn feed(state: TaskState, prompt: PromptState, rows: Value) -> Vec<Step> {
    let view: TaskView = task(state, 2, 3_000, vec![]);
    vec![
        Step::Await(2),
        Step::Send(hello(project_scope(), 1)),
        Step::Send(project_changes(0, view, prompt)),
        Step::Send(hello(session_scope(), 2)),
        Step::Send(rows),
    ]
}

#[tokio::test]
async fn being_answered_is_the_good_end_of_watching() {
    let answered = || {
        row_changes(
            0,
            vec![
                person(1, 1, 0, "Hello"),
                text(2, 2, 1, 1_000, Some(2_000), "Good evening."),
            ],
        )
    };
    let asking = row_changes(
        0,
        vec![
            person(1, 1, 0, "Hello"),
            permission(2, "Run make", PermissionState::Open),
        ],
    );
    for (prompt, rows, code, note) in [
        (PromptState::Finished, answered(), 0, "Go on: sam chat send"),
        (PromptState::Unknown, answered(), 9, "It is your turn."),
        (PromptState::Finished, asking, 9, "It is your turn."),
    ] {
        let (server, program) = talking().await;
        server.on_feed(feed(TaskState::AwaitingInput, prompt, rows));
        let ran = program.run(&["chat", "Hello"]).await;
        assert_eq!(ran.code, code, "{prompt:?} {ran:?}");
        assert!(ran.stdout.contains("Hello"), "{ran:?}");
        assert!(ran.stderr.contains(note), "{ran:?}");
    }
    // The same words in a task wait for the person, as ever.
    let (server, program) = talking().await;
    server.on_feed(feed(
        TaskState::AwaitingInput,
        PromptState::Finished,
        answered(),
    ));
    let ran = program.run(&["task", "submit", "Hello", "--follow"]).await;
    assert_eq!(ran.code, 9, "{ran:?}");
    // Further words are watched from there on, and programs get events.
    let (server, program) = talking().await;
    server.on_feed(feed(
        TaskState::AwaitingInput,
        PromptState::Finished,
        answered(),
    ));
    let id = session_id();
    let arguments = ["chat", "send", id.short(), "Hello", "--follow", "--json"];
    let ran = program.run(&arguments).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"], "awaiting_input", "{last}");
}

/// The queries with which a path was asked, in turn.
fn queries(server: &Server, path: &str) -> Vec<String> {
    let asked = server.requests().into_iter();
    asked
        .filter_map(|request| {
            Some(
                request
                    .path
                    .strip_prefix(path)?
                    .strip_prefix('?')?
                    .to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn conversations_are_listed_page_by_page() {
    let (server, program) = talking().await;
    let mut working = spoken();
    working.activity = Some(sam_domain::conversation::wire::Activity {
        state: ActivityState::Prompting,
        since: now(),
        epoch: 1,
    });
    working.title = "\u{1b}[2JA title".to_owned();
    let next = session_id();
    server.on(
        "GET",
        &sessions_path(),
        200,
        &json!({ "sessions": [working], "next": next }),
    );
    server.on(
        "GET",
        &sessions_path(),
        200,
        &json!({ "sessions": [spoken()] }),
    );
    // The first answer of `talking` is taken by this.
    program.run(&["chat", "list", "-n", "1"]).await;
    let ran = program.run(&["chat", "list"]).await;
    let id = session_id();
    let id = id.short();
    ran.expect(
        0,
        &format!(
            "ID        AGENT IS   CHANGED   TITLE\n{id}  ● working  just now  A title\n\
             {id}  ○ idle     just now  Fix the failing test\n"
        ),
    );
    assert_eq!(
        queries(&server, &sessions_path()),
        [
            "limit=1".to_owned(),
            "limit=20".to_owned(),
            format!("limit=19&before={next}")
        ]
    );
    let ran = program.run(&["chat", "list", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["sessions"][0]["id"],
        json!(session_id())
    );
}

fn page(rows: &[sam_domain::conversation::row::Row], before: bool) -> Value {
    json!({ "rows": rows, "as_of": 9, "has_before": before, "has_after": false })
}

#[tokio::test]
async fn a_conversation_reads_like_what_was_watched() {
    let (server, program) = talking().await;
    let messages = format!("{}/messages", session_path());
    let late = [
        text(2, 2, 1, 1_000, Some(2_000), "Good \u{1b}[31mevening."),
        person(3, 3, 3_000, "And then?"),
    ];
    server.on("GET", &messages, 200, &page(&late, true));
    server.on(
        "GET",
        &messages,
        200,
        &page(&[person(1, 1, 0, "Hello")], false),
    );
    let ran = program.run(&["chat", "read"]).await;
    let id = session_id();
    ran.expect(
        0,
        &format!("Fix the failing test  {id}\n\n▌ Hello\n\nGood evening.\n\n▌ And then?\n"),
    );
    assert_eq!(ran.stderr, "");
    assert_eq!(
        queries(&server, &messages),
        [
            "limit=50".to_owned(),
            format!("limit=48&before={}", row_id(2))
        ]
    );
    server.on("GET", &messages, 200, &page(&late, true));
    let arguments = ["chat", "read", id.short(), "--limit", "2", "--json"];
    program.run(&arguments).await;
    let ran = program.run(&arguments).await;
    let wanted = json!({ "session": spoken(), "rows": late, "has_before": true });
    let got: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&got["rows"], &got["has_before"]),
        (&wanted["rows"], &wanted["has_before"])
    );
    assert_eq!(got["session"]["id"], wanted["session"]["id"]);
}

#[tokio::test]
async fn a_tasks_logs_are_what_its_conversation_holds() {
    let (server, program) = talking().await;
    let done = task(TaskState::Completed, 1, 0, vec![]);
    server.on(
        "GET",
        &format!("/api/tasks/{}", task_id()),
        200,
        &json!(done),
    );
    server.on("GET", &tasks_path(), 200, &json!({ "tasks": [done] }));
    let messages = format!("{}/messages", session_path());
    let rows = [person(1, 1, 0, "Hello"), person(2, 2, 1_000, "And then?")];
    server.on("GET", &messages, 200, &page(&rows, false));
    let id = session_id();
    let wanted = format!("Fix the failing test  {id}\n\n▌ Hello\n\n▌ And then?\n");
    for named in [&[][..], &[task_id().as_str()], &[task_id().short()]] {
        let ran = program.run(&[&["task", "logs"], named].concat()).await;
        ran.expect(0, &wanted);
    }
    assert_eq!(queries(&server, &messages), ["limit=200"; 3]);
    // Of one that failed, why is what its log ends with.
    let mut failed = task(TaskState::Failed, 1, 0, vec![]);
    failed.failure = Some(Failure {
        step: StepName::Preparing,
        code: "clone_failed".to_owned(),
        message: "The repository could not be cloned.".to_owned(),
        hint: None,
        fault: Fault::Person,
    });
    let path = format!("/api/tasks/{}", task_id());
    server.on("GET", &path, 200, &json!(failed));
    let task = task_id();
    let arguments = ["task", "logs", task.as_str()];
    // The first answer, of the task that completed, is taken by this.
    program.run(&arguments).await;
    let why = "failed while preparing: The repository could not be cloned.\n";
    let ran = program.run(&arguments).await;
    ran.expect(0, &format!("{wanted}{why}"));
    let ran = program
        .run(&["task", "logs", "--limit", "7", "--json"])
        .await;
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["rows"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_said_is_found_in_any_case_and_order() {
    let (server, program) = talking().await;
    let rows = [
        person(1, 1, 0, "Why does the parser fail?"),
        text(
            2,
            2,
            1,
            1_000,
            Some(2_000),
            "Line one.\nThe Parser wants a colon.\n",
        ),
    ];
    let messages = format!("{}/messages", session_path());
    server.on("GET", &messages, 200, &page(&rows, false));
    let id = session_id();
    let ran = program.run(&["chat", "search", "COLON", "parser"]).await;
    ran.expect(
        0,
        &format!(
            "{}  Fix the failing test\n    The Parser wants a colon.\n",
            id.short()
        ),
    );
    let ran = program.run(&["chat", "search", "parser", "--json"]).await;
    let found = |row: u64, text: &str| {
        json!({ "project": project_id(), "session": id, "title": "Fix the failing test",
            "row": row_id(row), "text": text })
    };
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        json!({
            "found": [found(2, "The Parser wants a colon."), found(1, "Why does the parser fail?")],
            "conversations": 1, "complete": true,
        })
    );
    let ran = program.run(&["chat", "search", "failing test"]).await;
    assert!(ran.stdout.contains("Fix the failing test\n"), "{ran:?}");
    let ran = program.run(&["chat", "search", "nowhere"]).await;
    ran.expect_error(4, "Nothing in invoicing says that.\n");
}
