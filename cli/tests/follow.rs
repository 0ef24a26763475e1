//! Following a task: what is shown, and one test for each way it can end.

mod support;

use sam_domain::conversation::row::{NoticeLevel, ToolStatus};
use sam_domain::conversation::wire::PromptState;
use sam_domain::error::{Failure, Fault};
use sam_domain::id::Id;
use sam_domain::task::{StepName, TaskState};
use serde_json::{Value, json};
use support::conversation::{
    ENDING, OPENING, SUBMIT, completed, facts, first_steps, greet, running, server,
    whole_conversation, whole_transcript,
};
use support::fixtures::{
    changes, edit_tool, hello, notice, person, project_changes, project_id, project_scope,
    prompt_id, row_changes, row_id, run_tool, session_id, session_scope, step, task, task_id, text,
    thought, tool,
};
use support::server::Step;

#[tokio::test]
async fn a_completed_task_exits_with_0() {
    let (server, program) = server().await;
    server.on_feed(whole_conversation());
    let ran = program.run(&SUBMIT).await;
    ran.expect(0, &whole_transcript());
    assert_eq!(ran.stderr, "");
    assert_eq!(
        server.frames(),
        [[
            json!({ "t": "follow", "scope": { "project": project_id() }, "after": 0 }),
            json!({ "t": "follow", "scope": { "session": session_id() }, "after": 0 }),
        ]]
    );
    let opened = server.asked("GET", &format!("/api/projects/{}/feed", project_id()));
    assert!(opened[0].header("authorization").is_some());
}

#[tokio::test]
async fn a_task_followed_afterwards_reads_the_same() {
    let (server, program) = server().await;
    let done = completed(3);
    server.on(
        "GET",
        &format!("/api/tasks/{}", task_id()),
        200,
        &json!(done),
    );
    // The server sends what is stored: rows in the order of their last change.
    let failing = "not ok 1\n  expected 11\n  actual 10.5\n";
    let rows = [
        person(1, 1, 0, "Fix the failing test"),
        thought(2, 2, 2_000, 5_200, "The test says…"),
        tool(
            6,
            3,
            9_000,
            run_tool("npm test", ToolStatus::Completed, Some(10_900), "ok"),
        ),
        text(3, 4, 2, 5_200, Some(6_000), "I will run the tests."),
        tool(
            4,
            6,
            6_000,
            run_tool("npm test", ToolStatus::Failed, Some(8_100), failing),
        ),
        tool(5, 7, 8_500, edit_tool(8_520)),
        text(
            7,
            9,
            1,
            11_000,
            Some(12_000),
            "The fee is rounded now.\n\nAll tests pass.\n",
        ),
    ];
    let (first, second) = rows.split_at(3);
    let more = json!(true);
    let mut page = row_changes(0, first.to_vec());
    page["more"] = more;
    server.on_feed(vec![
        Step::Await(2),
        Step::Send(hello(project_scope(), 1)),
        Step::Send(project_changes(0, done, PromptState::Finished)),
        Step::Send(hello(session_scope(), 9)),
        Step::Send(page),
        Step::Await(3),
        Step::Send(row_changes(3, second.to_vec())),
    ]);
    let id = task_id();
    let ran = program.run(&["task", "follow", id.as_str()]).await;
    ran.expect(0, &whole_transcript());
    assert_eq!(
        server.frames()[0][2],
        json!({ "t": "next", "scope": { "session": session_id() }, "to": 3 })
    );
}

#[tokio::test]
async fn a_failed_task_exits_with_1() {
    let (server, program) = server().await;
    let mut failed = task(
        TaskState::Failed,
        2,
        2_900,
        vec![
            step(StepName::Placing, 0, Some(400), ""),
            step(StepName::Preparing, 400, Some(2_900), "cloning"),
        ],
    );
    failed.failure = Some(Failure {
        step: StepName::Preparing,
        code: "clone_failed".to_owned(),
        message: "The repository could not be cloned.".to_owned(),
        hint: Some("Check its address.".to_owned()),
        fault: Fault::Person,
    });
    let mut steps = greet(task(TaskState::Queued, 1, 0, vec![]), PromptState::Queued);
    steps.push(Step::Send(project_changes(
        1,
        failed,
        PromptState::Cancelled,
    )));
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    let wanted = format!(
        "{}▌ Fix the failing test

✓ placing      0.4 s
✗ preparing    2.5 s  cloning

✗ Failed after 2.9 s
  failed while preparing: The repository could not be cloned.
  hint: Check its address.
  model  4 calls, 12,345 tokens in, 678 out; scripted model
",
        facts()
    );
    ran.expect(1, &wanted);
}

#[tokio::test]
async fn a_cancelled_task_exits_with_8() {
    let (server, program) = server().await;
    let cancelled = task(TaskState::Cancelled, 2, 9_000, first_steps());
    let mut steps = greet(running(1), PromptState::Running);
    // The tool was running when the task was cancelled, and stays unfinished.
    let hanging = run_tool("npm test", ToolStatus::Interrupted, Some(9_000), "");
    steps.extend([
        Step::Send(row_changes(
            1,
            vec![tool(
                2,
                2,
                6_000,
                run_tool("npm test", ToolStatus::InProgress, None, ""),
            )],
        )),
        Step::Send(row_changes(2, vec![tool(2, 3, 6_000, hanging)])),
        Step::Send(project_changes(1, cancelled, PromptState::Cancelled)),
    ]);
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    let wanted = format!(
        "{}{OPENING}
■ run     npm test  timeout_seconds=60  interrupted  3.0 s

■ running      7.0 s

■ Cancelled after 9.0 s
  model  4 calls, 12,345 tokens in, 678 out; scripted model
",
        facts()
    );
    ran.expect(8, &wanted);
}

#[tokio::test]
async fn a_task_that_awaits_input_exits_with_9_and_says_how_to_answer() {
    let (server, program) = server().await;
    let awaiting = task(TaskState::AwaitingInput, 3, 9_000, first_steps());
    let question = notice(
        2,
        2,
        NoticeLevel::Question,
        "The agent ended while it worked; what it did last is unknown.",
        Some("Say how to go on."),
    );
    let mut steps = greet(running(1), PromptState::Running);
    steps.extend([
        Step::Send(row_changes(1, vec![question])),
        // Still awaiting the first answer, but the prompt is on its way: no end.
        Step::Send(project_changes(
            1,
            task(TaskState::AwaitingInput, 2, 9_000, first_steps()),
            PromptState::Queued,
        )),
        Step::Send(project_changes(2, awaiting, PromptState::Unknown)),
    ]);
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    let wanted = format!(
        "{}{OPENING}
? The agent ended while it worked; what it did last is unknown.
  Say how to go on.

? Waiting for you after 9.0 s
  model  4 calls, 12,345 tokens in, 678 out; scripted model
",
        facts()
    );
    ran.expect(9, &wanted);
    let id = task_id();
    let id = id.short();
    assert_eq!(
        ran.stderr,
        format!(
            "It is your turn.\n  answer:     sam task prompt {id} \"…\" --follow\n  \
             take it:    sam task close {id}\n  give it up: sam task cancel {id}\n"
        )
    );
}

#[tokio::test]
async fn parallel_tools_are_printed_in_their_order() {
    let (server, program) = server().await;
    let mut steps = greet(running(1), PromptState::Running);
    steps.extend([
        Step::Send(row_changes(
            1,
            vec![
                tool(
                    2,
                    2,
                    3_000,
                    run_tool("slow", ToolStatus::InProgress, None, ""),
                ),
                tool(
                    3,
                    3,
                    3_000,
                    run_tool("quick", ToolStatus::Completed, Some(3_500), ""),
                ),
            ],
        )),
        Step::Send(row_changes(
            3,
            vec![tool(
                2,
                4,
                3_000,
                run_tool("slow", ToolStatus::Completed, Some(6_000), ""),
            )],
        )),
        Step::Send(project_changes(1, completed(2), PromptState::Finished)),
    ]);
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    ran.expect(
        0,
        &format!(
            "{}{OPENING}
✓ run     slow  command=npm test timeout_seconds=60  done  3.0 s
✓ run     quick  command=npm test timeout_seconds=60  done  0.5 s
{ENDING}",
            facts()
        ),
    );
}

#[tokio::test]
async fn hostile_text_cannot_reach_the_terminal() {
    let (server, program) = server().await;
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;1H\u{9b}31mall\r good\u{202e}";
    let mut body = run_tool(evil, ToolStatus::Failed, Some(6_000), evil);
    body.arguments = json!({ evil: evil }).to_string();
    body.diffs = edit_tool(6_000).diffs;
    body.diffs[0].path = evil.to_owned();
    body.diffs[0].unified = format!("+{evil}\n");
    let mut failed = task(
        TaskState::Failed,
        2,
        9_000,
        vec![step(StepName::Running, 0, Some(9_000), evil)],
    );
    failed.agent = evil.to_owned();
    failed.branch = Some(evil.to_owned());
    failed.failure = Some(Failure {
        step: StepName::Running,
        code: evil.to_owned(),
        message: evil.to_owned(),
        hint: Some(evil.to_owned()),
        fault: Fault::System,
    });
    let mut steps = greet(running(1), PromptState::Running);
    steps.extend([
        Step::Send(row_changes(
            1,
            vec![
                text(2, 2, 1, 3_000, Some(3_500), evil),
                tool(3, 3, 3_500, body),
                notice(4, 4, NoticeLevel::Error, evil, Some(evil)),
                person(5, 5, 4_000, evil),
            ],
        )),
        Step::Send(project_changes(1, failed, PromptState::Finished)),
    ]);
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    assert_eq!(ran.code, 1);
    for c in ran.stdout.chars().chain(ran.stderr.chars()) {
        assert!(c == '\n' || !(c.is_control() || c == '\u{202e}'), "{c:?}");
    }
    assert!(ran.stdout.contains("all good"), "{}", ran.stdout);
}

#[tokio::test]
async fn json_says_every_stored_change_once_and_the_outcome() {
    let (server, program) = server().await;
    server.on_feed(whole_conversation());
    let arguments = [&SUBMIT[..], &["--json"]].concat();
    let ran = program.run(&arguments).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let names: Vec<String> = events
        .iter()
        .map(|event| match event["event"].as_str().unwrap() {
            "row" => format!("row {} {}", event["row"]["pos"], event["row"]["rev"]),
            "task" => format!("task {}", event["task"]["state"]),
            name => name.to_owned(),
        })
        .collect();
    assert_eq!(
        names,
        [
            "submitted",
            "row 1 0",
            "task \"queued\"",
            "task \"running\"",
            "row 2 1",
            "row 3 1",
            "row 3 2",
            "row 4 5",
            "row 4 6",
            "row 5 7",
            "row 6 8",
            "row 7 1",
            "task \"completed\"",
            "outcome",
        ]
    );
    let last = events.last().unwrap();
    assert_eq!(last["outcome"], "completed");
    assert_eq!(last["exit_code"], 0);
    assert_eq!(last["task"], json!(completed(3)));
    assert_eq!(last["usage"]["input_tokens"], 12_345);
}

#[tokio::test]
async fn a_new_prompt_is_followed_from_its_own_row() {
    let (server, program) = server().await;
    let done = task(TaskState::AwaitingInput, 4, 9_000, first_steps());
    server.on(
        "GET",
        &format!("/api/tasks/{}", task_id()),
        200,
        &json!(done),
    );
    let path = format!(
        "/api/projects/{}/sessions/{}/prompts",
        project_id(),
        session_id()
    );
    let accepted = json!({ "prompt": prompt_id(), "row": row_id(3), "task": task_id() });
    server.on("POST", &path, 202, &accepted);
    let rows = vec![
        person(1, 1, 0, "Fix the failing test"),
        text(2, 2, 1, 3_000, Some(4_000), "Said before."),
        person(3, 3, 10_000, "And the docs"),
    ];
    server.on_feed(vec![
        Step::Await(2),
        Step::Send(hello(project_scope(), 1)),
        Step::Send(hello(session_scope(), 3)),
        Step::Send(project_changes(0, done, PromptState::Queued)),
        Step::Send(row_changes(0, rows)),
        Step::Send(row_changes(
            3,
            vec![text(4, 4, 1, 11_000, Some(12_000), "Docs are done.")],
        )),
        Step::Send(changes(project_scope(), 1, 2, vec![])),
        Step::Send(project_changes(2, completed(5), PromptState::Finished)),
    ]);
    let id = task_id();
    let arguments = ["task", "prompt", id.as_str(), "And the docs", "--follow"];
    let ran = program.run(&arguments).await;
    ran.expect(
        0,
        &format!("{}▌ And the docs\n\nDocs are done.\n{ENDING}", facts()),
    );
}
