//! What a workspace is told to do, and does.

use crate::bench::{Machine, expect, git};
use crate::common::{alive, number_in};
use crate::plane::Plane;
use sam_domain::conversation::row::{NoticeLevel, RowBody, ToolStatus};
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::WorkspaceId;
use sam_domain::link::frame::{Action, AgentState, Event, StopReason};
use serde_json::json;

#[test]
fn a_task_runs_from_its_clone_to_its_branch() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"think": "hm"}),
            json!({"plan": 2}),
            json!({"say": "I will fix it."}),
            json!({"run": ["t1", "2 tests failed"]}),
            json!({"write": ["a.txt", "one\ntwo\n"]}),
            json!({"model": "hello"}),
        ],
    );
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    let echo = format!("[model 200 OK: echo of hello for {workspace}]");
    assert_eq!(
        plane.shown(&workspace),
        expect(&[
            ("thought", "hm"),
            ("plan", ""),
            ("text", "I will fix it."),
            ("tool", "Completed 2 tests failed"),
            ("tool", "Completed "),
            ("text", &echo),
            ("usage", ""),
        ])
    );
    {
        let inner = plane.see();
        let diffs: Vec<_> = inner
            .rows
            .values()
            .filter_map(|held| match &held.row.body {
                RowBody::Tool(tool) => tool.diffs.first().cloned(),
                _ => None,
            })
            .collect();
        assert_eq!(diffs[0].path, "a.txt");
        assert_eq!(inner.model_calls.len(), 1);
    }
    let message = "Fix it".to_owned();
    plane.done(&plane.command(&workspace, Action::FinishGit { message }));
    let (commit, diff) = plane
        .see()
        .events
        .iter()
        .find_map(|frame| match &frame.event {
            Event::GitResult {
                commit,
                push_error: None,
                files_changed: 1,
                added: 1,
                removed: 0,
                diff,
            } => Some((commit.clone(), diff.clone())),
            _ => None,
        })
        .expect("a result");
    let branch = format!("sam/{}", sam_domain::id::Id::short(&workspace));
    assert_eq!(
        Some(git(&machine.origin(), &["rev-parse", &branch])),
        commit
    );
    let named = diff.expect("a diff").sha256;
    let body = plane
        .see()
        .bodies
        .get(&(workspace.clone(), named))
        .cloned()
        .expect("delivered");
    assert!(String::from_utf8_lossy(&body).contains("+two"));

    plane.done(&plane.command(&workspace, Action::StopAgent));
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { reason, .. }, .. } if reason == "stopped")
    });
    assert!(machine.workspace_dir(&workspace).exists());
    plane.done(&plane.command(&workspace, Action::DeleteWorkspace));
    assert!(!machine.workspace_dir(&workspace).exists());
    assert_eq!(plane.see().joins.len(), 1);
    plane.assert_no_violations();
}

#[test]
fn a_cancelled_prompt_stops_politely_or_by_force() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let never = machine.file("never");
    let cancel = |prompt: &sam_domain::id::PromptId| {
        plane.wait_for_event(
            "it started",
            |event| matches!(event, Event::PromptStarted { prompt: held } if held == prompt),
        );
        plane.command(
            &workspace,
            Action::CancelPrompt {
                prompt: prompt.clone(),
            },
        )
    };
    let polite = plane.prompt(
        &workspace,
        &agent,
        &[json!({"say": "a"}), json!({"await": never})],
    );
    plane.done(&cancel(&polite));
    assert_eq!(plane.finished(&polite), StopReason::Cancelled);
    // The agent is still there.
    let pid = machine.file("pid");
    let stubborn = plane.prompt(
        &workspace,
        &agent,
        &[
            json!("stubborn"),
            json!({"pid": pid}),
            json!({"open": "t"}),
            json!({"await": never}),
        ],
    );
    let agent_pid = number_in(&pid);
    plane.done(&cancel(&stubborn));
    assert_eq!(plane.finished(&stubborn), StopReason::Cancelled);
    assert!(!alive(agent_pid));
    plane.wait_for_event("the agent ended", |event| {
        matches!(
            event,
            Event::AgentState {
                state: AgentState::Ended { .. },
                ..
            }
        )
    });
    let interrupted = plane.see().rows.values().any(|held| {
        matches!(&held.row.body, RowBody::Tool(tool) if tool.status == ToolStatus::Interrupted)
    });
    assert!(interrupted);
    // With no agent, a prompt never runs, and says so.
    let late = plane.prompt(&workspace, &agent, &[json!({"say": "x"})]);
    assert!(matches!(plane.finished(&late), StopReason::NeverRan { .. }));
}

#[test]
fn permissions_are_granted_by_kind_and_asked_of_a_person_without_a_yes() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let script = [
        json!({"ask": ["reject_once", "allow_always", "allow_once", "allow_once"]}),
        json!({"run": ["t", ""]}),
        json!({"ask": ["reject_once"]}),
        json!({"run": ["u", ""]}),
        json!({"fail": "model said sam_mdl_0123456789abcdefgh"}),
    ];
    let prompt = plane.prompt(&workspace, &agent, &script);
    let StopReason::Error { message, .. } = plane.finished(&prompt) else {
        panic!("an error");
    };
    assert!(message.contains("model said [redacted]"), "{message}");
    let shown = plane.shown(&workspace);
    assert!(shown[0].1.contains("allow_once-2"), "{shown:?}");
    let asked = shown.iter().filter(|(kind, _)| kind == "permission");
    assert_eq!(asked.count(), 1, "{shown:?}");
    assert!(
        shown.iter().any(|(_, text)| text.contains("reject_once-0")),
        "{shown:?}"
    );
}

#[test]
fn what_cannot_be_done_fails_with_its_reason() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let workspace: WorkspaceId = plane.mint();
    let code = |command| plane.failure(&command).0;
    assert_eq!(
        code(plane.start_agent(&workspace, "sam-harness").1),
        "no_workspace"
    );
    assert_eq!(
        code(plane.prepare(&workspace, "/nowhere/at/all")),
        "not_a_repository"
    );
    assert!(!machine.workspace_dir(&workspace).exists());
    assert_eq!(
        code(plane.prepare(&workspace, "ext::sh -c x")),
        "unsupported_repository"
    );
    let finish = Action::FinishGit {
        message: "x".into(),
    };
    assert_eq!(code(plane.command(&workspace, finish)), "no_workspace");
    plane.done(&plane.prepare(&workspace, &machine.origin().to_string_lossy()));
    assert_eq!(
        code(plane.start_agent(&workspace, "unheard-of").1),
        "agent_not_installed"
    );
    // An agent that cannot even start says why in its last words.
    let broken = machine.dir.path().join("bin/goose");
    std::fs::remove_file(&broken).expect("gone");
    std::fs::write(&broken, "#!/bin/sh\necho 'no such provider' >&2\nexit 3\n").expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).expect("executable");
    assert_eq!(
        code(plane.start_agent(&workspace, "goose").1),
        "agent_failed_to_start"
    );
    plane.wait_for_event("its last words", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { stderr_tail, .. }, .. }
            if stderr_tail.contains("no such provider"))
    });
    plane.assert_no_violations();
}

/// Memory of the process's own; pages of the program's file come on top and
/// are shared.
#[test]
fn an_idle_machine_takes_little_memory() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(&workspace, &agent, &[json!({"stream": ["words ", 500]})]);
    plane.finished(&prompt);
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", machine.pid())).expect("status");
    let own: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .expect("a number");
    assert!(own < 10 * 1024, "{own} KiB");
}

#[test]
fn what_an_agent_asks_its_person_is_a_row_and_how_its_turn_ends() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let script = [
        json!({"ask_person": ["Which of them?", ["the left", "the right"]]}),
        json!({"say": "I wait."}),
    ];
    let prompt = plane.prompt(&workspace, &agent, &script);
    let question = "Which of them?\n\n1. the left\n2. the right";
    let asked = StopReason::NeedsInput {
        question: question.to_owned(),
    };
    assert_eq!(
        plane.finished(&prompt),
        asked,
        "{:?}",
        plane.shown(&workspace)
    );
    plane.wait_for_event("it waits for its person", |event| {
        matches!(event, Event::AgentState { state: AgentState::Activity { state }, .. }
            if *state == ActivityState::WaitingForPerson)
    });
    let shown = plane.see().rows.values().any(|held| {
        matches!(&held.row.body, RowBody::Notice(notice)
            if notice.level == NoticeLevel::Question && notice.text == question && notice.hint.is_some())
    });
    assert!(shown, "everybody sees what it asked");
    let told = "[Your person was asked. End your turn now; the answer comes as your next prompt.]";
    assert!(
        plane
            .shown(&workspace)
            .iter()
            .any(|(_, text)| text.starts_with(told)),
        "{:?}",
        plane.shown(&workspace)
    );
    let answer = plane.prompt(&workspace, &agent, &[json!({"say": "Thank you."})]);
    assert_eq!(plane.finished(&answer), StopReason::EndTurn);
    plane.assert_no_violations();
}
