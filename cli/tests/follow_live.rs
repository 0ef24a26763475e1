//! Following a task: what may happen to the connection, the terminal and the
//! person on the way.

mod support;

use sam_domain::conversation::wire::PromptState;
use sam_domain::feed::ServerFrame;
use serde_json::json;
use std::sync::Arc;
use support::conversation::{
    ENDING, OPENING, SUBMIT, completed, facts, greet, running, server, whole_conversation,
    whole_transcript,
};
use support::fixtures::{
    frame, hello, person, project_changes, project_id, project_scope, row_changes, session_id,
    session_scope, task_id, text,
};
use support::program::DEADLINE;
use support::server::Step;
use support::terminal::run_on_terminal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::Notify;

#[tokio::test]
async fn a_cut_connection_is_resumed_and_nothing_is_lost_or_doubled() {
    let (server, program) = server().await;
    let whole = whole_conversation();
    // Cut in the middle of a growing text; the rest comes after a refused
    // attempt and a reconnect, with one page repeated.
    let (before, after) = whole.split_at(8);
    let mut first = before.to_vec();
    first.push(Step::Cut);
    server.on_feed(first);
    let mut second = vec![
        Step::Await(2),
        Step::Send(hello(project_scope(), 2)),
        Step::Send(hello(session_scope(), 3)),
        Step::Send(row_changes(
            1,
            vec![text(3, 3, 1, 5_200, None, "I will run ")],
        )),
    ];
    second.extend(after.iter().cloned());
    server.on_feed(vec![Step::Cut]);
    server.on_feed(second);
    let ran = program.run(&SUBMIT).await;
    ran.expect(0, &whole_transcript());
    assert!(
        ran.stderr.starts_with("Connection lost (") && ran.stderr.ends_with("Connected again.\n"),
        "{}",
        ran.stderr
    );
    let frames = server.frames();
    assert_eq!(
        frames[2],
        [
            json!({ "t": "follow", "scope": { "project": project_id() }, "after": 2, "epoch": "e1" }),
            json!({ "t": "follow", "scope": { "session": session_id() }, "after": 3, "epoch": "e1" }),
        ]
    );
}

#[tokio::test]
async fn a_restored_history_is_read_afresh_without_repeating_lines() {
    let (server, program) = server().await;
    let mut steps = greet(running(1), PromptState::Running);
    let said = text(2, 2, 1, 5_200, Some(6_000), "Said once.");
    steps.extend([
        Step::Send(row_changes(1, vec![said.clone()])),
        Step::Send(frame(&ServerFrame::Reset {
            scope: session_scope(),
        })),
        Step::Await(3),
        Step::Send(hello(session_scope(), 2)),
        Step::Send(row_changes(
            0,
            vec![person(1, 1, 0, "Fix the failing test"), said],
        )),
        Step::Send(project_changes(1, completed(2), PromptState::Finished)),
    ]);
    server.on_feed(steps);
    let ran = program.run(&SUBMIT).await;
    ran.expect(0, &format!("{}{OPENING}\nSaid once.\n{ENDING}", facts()));
    assert_eq!(
        server.frames()[0][2],
        json!({ "t": "follow", "scope": { "session": session_id() }, "after": 0 })
    );
}

#[tokio::test]
async fn text_is_shown_while_it_grows() {
    let (server, program) = server().await;
    let gate = Arc::new(Notify::new());
    let mut steps = greet(running(1), PromptState::Running);
    steps.extend([
        Step::Send(row_changes(
            1,
            vec![text(2, 2, 1, 5_200, None, "First line\nsecond")],
        )),
        Step::Gate(Arc::clone(&gate)),
        Step::Send(row_changes(
            2,
            vec![text(2, 3, 2, 5_200, Some(6_000), "First line\nsecond line")],
        )),
        Step::Send(project_changes(1, completed(2), PromptState::Finished)),
    ]);
    server.on_feed(steps);
    let mut child = program.command(&SUBMIT).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let reading = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the line comes");
            seen.push(line);
            if seen.last().is_some_and(|line| line == "First line") {
                break;
            }
        }
        // The server holds the rest back until now.
        gate.notify_one();
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push(line);
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("in time");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let wanted = format!("{}{OPENING}\nFirst line\nsecond line\n{ENDING}", facts());
    assert_eq!(seen.join("\n") + "\n", wanted);
}

#[tokio::test]
async fn leaving_changes_nothing_and_says_how_to_come_back() {
    let (server, program) = server().await;
    server.on_feed(greet(running(1), PromptState::Running));
    let mut child = program.command(&SUBMIT).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("✓ starting") {
                return;
            }
        }
        panic!("the steps were not shown");
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("in time");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    tokio::time::timeout(DEADLINE, pipe.read_to_string(&mut stderr))
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    let id = task_id();
    assert_eq!(
        stderr,
        format!(
            "Left. The task goes on.\n  watch it again: sam task follow {id}\n  \
             cancel it:      sam task cancel {id}\n"
        )
    );
    assert!(server.requests().iter().all(|r| !r.path.contains("cancel")));
}

#[tokio::test]
async fn a_refused_feed_ends_with_its_reason() {
    let feed = format!("/api/projects/{}/feed", project_id());
    for (status, wanted) in [(401, 3), (403, 5), (404, 4)] {
        let (server, program) = server().await;
        let refusal = json!({ "error": { "code": "no", "message": "Not for you." } });
        server.on("GET", &feed, status, &refusal);
        let ran = program.run(&SUBMIT).await;
        assert_eq!(ran.code, wanted, "{ran:?}");
        assert!(ran.stderr.starts_with("error: Not for you.\n"), "{ran:?}");
    }
    // The feed itself does not know the project any more.
    let (server, program) = server().await;
    server.on_feed(vec![
        Step::Await(2),
        Step::Send(frame(&ServerFrame::Refused {
            code: "not_found".to_owned(),
            scope: Some(session_scope()),
        })),
    ]);
    let ran = program.run(&SUBMIT).await;
    assert_eq!(ran.code, 4, "{ran:?}");
}

#[tokio::test]
async fn a_feed_that_never_opens_is_given_up() {
    let (server, program) = server().await;
    let feed = format!("/api/projects/{}/feed", project_id());
    server.on_silence("GET", &feed);
    let ran = program.run(&SUBMIT).await;
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(
        ran.stderr
            .contains(&format!("sam task follow {}", task_id())),
        "{ran:?}"
    );
}

/// The whole conversation, held while a text grows and again while a tool runs.
fn held_conversation(gate: &Arc<Notify>, at: usize) -> Vec<Step> {
    let mut steps = whole_conversation();
    steps.insert(at, Step::Gate(Arc::clone(gate)));
    steps
}

#[tokio::test]
async fn a_terminal_shows_what_moves_and_keeps_what_is_final() {
    for (at, shown) in [
        (
            9,
            vec![
                "I will run the tests.",
                "● running  ",
                "Ctrl-C leaves it running",
            ],
        ),
        (
            11,
            vec![
                "● run     npm test  timeout_seconds=60  running",
                "● running  ",
            ],
        ),
    ] {
        let (server, program) = server().await;
        let gate = Arc::new(Notify::new());
        server.on_feed(held_conversation(&gate, at));
        let (code, screen) = run_on_terminal(&program, &SUBMIT, 120, &shown, &gate).await;
        assert_eq!(code, Some(0));
        assert_eq!(screen.text(), whole_transcript());
        assert!(screen.coloured);
    }
}

#[tokio::test]
async fn no_color_is_respected_and_narrow_terminals_do_not_garble() {
    let (server, program) = server().await;
    let program = program.env("NO_COLOR", "1");
    let gate = Arc::new(Notify::new());
    let mut steps = greet(running(1), PromptState::Running);
    let words = "word ".repeat(40);
    steps.extend([
        Step::Send(row_changes(1, vec![text(2, 2, 1, 3_000, None, &words)])),
        Step::Gate(Arc::clone(&gate)),
        Step::Send(row_changes(
            2,
            vec![text(2, 3, 2, 3_000, Some(3_500), &format!("{words}end"))],
        )),
        Step::Send(project_changes(1, completed(2), PromptState::Finished)),
    ]);
    server.on_feed(steps);
    let (code, screen) =
        run_on_terminal(&program, &SUBMIT, 40, &["word word", "● running"], &gate).await;
    assert_eq!(code, Some(0));
    assert!(!screen.coloured);
    let line = "word word word word word word word word\n";
    let wanted = format!("\n{}end\n\n✓ running", line.repeat(5));
    assert!(screen.text().contains(&wanted), "{}", screen.text());
    assert_eq!(
        screen.text().matches("running").count(),
        1,
        "{}",
        screen.text()
    );
}
