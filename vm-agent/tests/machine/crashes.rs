//! Processes that die, and what is true afterwards.

use crate::bench::{Machine, expect, marked};
use crate::common::{alive, kill, number_in, wait_until};
use crate::plane::Plane;
use rustix::process::Signal;
use sam_domain::conversation::row::RowBody;
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::PromptId;
use sam_domain::link::frame::{Action, AgentState, Event, StopReason};
use serde_json::json;

#[test]
fn a_killed_agent_leaves_its_prompt_unknown_and_nothing_running() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (pid, left, never) = (
        machine.file("pid"),
        machine.file("left"),
        machine.file("never"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"complain": "about to go"}),
            json!({"leave": left}),
            json!({"say": "working"}),
            json!({"open": "t1"}),
            json!({"pid": pid}),
            json!({"await": never}),
        ],
    );
    let (agent_pid, left_pid) = (number_in(&pid), number_in(&left));
    assert!(alive(left_pid));
    // What is still in the agent's own memory when it is killed was never said.
    wait_until("it was heard", || plane.shown(&workspace).len() == 2);
    kill(agent_pid, Signal::KILL);
    let reason = plane.finished(&prompt);
    assert!(
        matches!(&reason, StopReason::Unknown { reason }
            if reason == "the agent killed by signal 9 (it last wrote: about to go)"),
        "{reason:?}"
    );
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { reason, stderr_tail }, .. }
            if reason == "killed by signal 9" && stderr_tail.contains("about to go"))
    });
    assert_eq!(
        plane.shown(&workspace),
        expect(&[("text", "working"), ("tool", "Interrupted ")])
    );
    assert!(!alive(left_pid), "what it left behind is gone");
    // The same workspace takes another agent and another prompt.
    let (agent, command) = plane.start_agent(&workspace, "goose");
    plane.done(&command);
    let again = plane.prompt(&workspace, &agent, &[json!({"say": "back"})]);
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    plane.assert_no_violations();
}

#[test]
fn a_killed_vm_agent_leaves_nothing_running_and_tells_the_truth_when_it_is_back() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (left, pid, never) = (
        machine.file("left"),
        machine.file("pid"),
        machine.file("never"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"leave": left}),
            json!({"pid": pid}),
            json!({"run": ["t1", "done"]}),
            json!({"open": "t2"}),
            json!({"say": "half a sentence"}),
            json!({"stream": [" more", 100_000]}),
            json!({"await": never}),
        ],
    );
    let (left_pid, agent_pid) = (number_in(&left), number_in(&pid));
    wait_until("deltas arrive", || plane.see().deltas.len() > 3);
    assert!(!marked(&machine.state()).is_empty());
    machine.kill();
    wait_until("the agent is gone", || {
        !alive(agent_pid) && !alive(left_pid)
    });
    wait_until("everything is gone", || marked(&machine.state()).is_empty());

    machine.start(&plane);
    let reason = plane.finished(&prompt);
    assert!(matches!(reason, StopReason::Unknown { .. }), "{reason:?}");
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { agent_session, state: AgentState::Ended { .. } } if *agent_session == agent)
    });
    let shown = plane.shown(&workspace);
    assert_eq!(shown.len(), 3, "no row lost, none doubled: {shown:?}");
    assert_eq!(
        shown[..2],
        expect(&[("tool", "Completed done"), ("tool", "Interrupted ")])
    );
    assert!(shown[2].1.starts_with("half a sentence"));
    for held in plane.see().rows.values() {
        let over = match &held.row.body {
            RowBody::Text(text) => text.ended_at.is_some(),
            RowBody::Tool(tool) => tool.status.is_terminal() && tool.ended_at.is_some(),
            _ => true,
        };
        assert!(over, "{:?}", held.row);
    }
    assert_eq!(plane.see().joins.len(), 1, "it is the same node");
    // The workspace is there as it was left.
    let (agent, command) = plane.start_agent(&workspace, "sam-harness");
    plane.done(&command);
    let again = plane.prompt(&workspace, &agent, &[json!({"say": "back"})]);
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    plane.assert_no_violations();
}

#[test]
fn a_command_interrupted_by_a_crash_is_repeated_where_it_can_be() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(&workspace, &agent, &[json!({"write": ["a.txt", "two\n"]})]);
    plane.finished(&prompt);
    // A push that waits: the repository's own hook holds it until the test lets go.
    let (began, gate) = (machine.file("began"), machine.file("gate"));
    let hook = machine.origin().join(".git/hooks/pre-receive");
    let script = format!(
        "#!/bin/sh\necho $$ > {}\nwhile ! [ -e {} ]; do sleep 0.02; done\n",
        began.display(),
        gate.display()
    );
    std::fs::create_dir_all(hook.parent().expect("dir")).expect("hooks");
    std::fs::write(&hook, script).expect("hook");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).expect("executable");
    let finish = plane.command(
        &workspace,
        Action::FinishGit {
            message: "Fix".into(),
        },
    );
    let hook_pid = number_in(&began);
    machine.kill();
    wait_until("git is gone", || !alive(hook_pid));
    std::fs::write(&gate, "").expect("open");
    machine.start(&plane);
    plane.done(&finish);
    let inner = plane.see();
    let results: Vec<_> = inner
        .events
        .iter()
        .filter(|frame| matches!(frame.event, Event::GitResult { .. }))
        .collect();
    assert_eq!(results.len(), 1);
    assert_eq!(
        inner.acks.iter().filter(|acked| **acked == finish).count(),
        1
    );
    drop(inner);
    plane.assert_no_violations();
}

#[test]
fn a_newer_agent_waits_for_the_older_ones_end() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, older) = machine.ready(&plane);
    let (pid, never) = (machine.file("pid"), machine.file("never"));
    let script = [json!({"pid": pid}), json!({"await": never})];
    let prompt = plane.prompt(&workspace, &older, &script);
    let older_pid = number_in(&pid);
    let (newer, command) = plane.start_agent(&workspace, "goose");
    plane.done(&command);
    assert!(!alive(older_pid), "one agent at a time");
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    let prompt = plane.prompt(&workspace, &newer, &[json!({"say": "here"})]);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    plane.assert_no_violations();
}

#[test]
fn an_orderly_stop_reports_before_it_ends() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let never = machine.file("never");
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[json!({"say": "a"}), json!({"await": never})],
    );
    wait_until("it works", || !plane.shown(&workspace).is_empty());
    let mut program = machine.program.take().expect("running");
    kill(program.id(), Signal::TERM);
    assert!(program.wait().expect("ends").success());
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    assert!(marked(&machine.state()).is_empty());
}

/// The supervisors of a running vm-agent.
fn supervisors(pid: u32) -> Vec<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut found: Vec<u32> = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    // Children belong to the thread that started them.
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether every thread of a process was stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold any character.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

#[test]
fn nothing_outlives_even_its_supervisor() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let never = machine.file("never");
    let at_work = |agent: &sam_domain::id::AgentSessionId, name: &str| {
        let (left, pid) = (
            machine.file(&format!("left{name}")),
            machine.file(&format!("pid{name}")),
        );
        let script = [
            json!({"leave": left}),
            json!({"pid": pid}),
            json!({"await": never}),
        ];
        let prompt = plane.prompt(&workspace, agent, &script);
        (prompt, number_in(&left), number_in(&pid))
    };
    // The supervisor alone: the vm-agent sees to the rest.
    let (prompt, left, pid) = at_work(&agent, "1");
    for supervisor in supervisors(machine.pid()) {
        kill(supervisor, Signal::KILL);
    }
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    assert!(!alive(left) && !alive(pid));
    // Both at once: the next vm-agent sees to it.
    let (agent, command) = plane.start_agent(&workspace, "goose");
    plane.done(&command);
    let (prompt, left, pid) = at_work(&agent, "2");
    let found = supervisors(machine.pid());
    assert_eq!(found.len(), 1);
    // The vm-agent stands still, so that it cannot see its supervisor die. The
    // other way round the kernel would wake the supervisor when it is orphaned.
    kill(machine.pid(), Signal::STOP);
    wait_until("the vm-agent stands still", || is_stopped(machine.pid()));
    kill(found[0], Signal::KILL);
    machine.kill();
    assert!(alive(left), "nobody is there to end it");
    machine.start(&plane);
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    wait_until("it is swept up", || !alive(left) && !alive(pid));
    plane.assert_no_violations();
}

#[test]
fn an_agent_that_hangs_is_found_and_ended_and_the_next_one_works() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.agent_silence = Some(6);
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let left = machine.file("left");
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"leave": left}),
            json!({"say": "working"}),
            json!({"hang": null}),
        ],
    );
    let left_pid = number_in(&left);
    let reason = plane.finished(&prompt);
    let says = "the agent gave no sign of life for 6 seconds and was killed";
    assert!(
        matches!(&reason, StopReason::Unknown { reason } if reason == says),
        "{reason:?}"
    );
    assert!(!alive(left_pid), "what it left behind is gone");
    let (agent, command) = plane.start_agent(&workspace, "goose");
    plane.done(&command);
    let again = plane.prompt(&workspace, &agent, &[json!({"say": "back"})]);
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    assert_eq!(
        plane.shown(&workspace),
        expect(&[("text", "working"), ("text", "back"), ("usage", "")])
    );
    plane.assert_no_violations();
}

#[test]
fn a_silent_command_is_work_although_its_agent_hears_nothing_meanwhile() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.agent_silence = Some(10);
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[json!({"command": "exec sleep 13"}), json!({"say": "done"})],
    );
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    assert_eq!(
        plane.shown(&workspace),
        expect(&[("tool", "Completed "), ("text", "done"), ("usage", "")])
    );
    plane.assert_no_violations();
}

/// Kills an agent in mid-turn that keeps what it was told, or `other` words; starts it again and says
/// more. Returns what is shown of the conversation.
fn shown_after_a_crash(other: Option<&str>) -> Vec<(String, String)> {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (pid, never) = (machine.file("pid"), machine.file("never"));
    let first = [
        json!({"keep": other}),
        json!({"say": "working"}),
        json!({"pid": pid}),
        json!({"await": never}),
    ];
    let prompt = plane.prompt(&workspace, &agent, &first);
    let agent_pid = number_in(&pid);
    wait_until("it was heard", || plane.shown(&workspace).len() == 1);
    kill(agent_pid, Signal::KILL);
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    let (agent_session, command) = plane.start_agent(&workspace, "sam-harness");
    plane.done(&command);
    let again: PromptId = plane.mint();
    plane.command(
        &workspace,
        Action::Prompt {
            agent_session,
            prompt: again.clone(),
            text: json!({"say": "back"}).to_string(),
            body: None,
            context: "EARLIER".to_owned(),
        },
    );
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    plane.assert_no_violations();
    plane.shown(&workspace)
}

#[test]
fn an_agent_that_is_started_again_loads_its_session_and_its_replay_is_not_shown() {
    let shown = shown_after_a_crash(None);
    assert_eq!(
        shown,
        expect(&[
            ("text", "working"),
            ("notice", "agent_resumed"),
            ("text", "back"),
            ("usage", ""),
        ])
    );
}

#[test]
fn an_agent_that_forgot_what_it_was_told_begins_afresh_and_is_told_the_conversation() {
    let shown = shown_after_a_crash(Some("something else"));
    let said: Vec<_> = shown.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        said.iter().any(|text| text.contains("[heard: EARLIER]")),
        "{shown:?}"
    );
    assert!(
        !said
            .iter()
            .any(|text| text.contains("as before") || text.contains("and late")),
        "{shown:?}"
    );
    assert!(!said.contains(&"agent_resumed"), "{shown:?}");
}

#[test]
fn an_agent_that_ends_over_its_session_is_started_again_without_it() {
    let shown = shown_after_a_crash(Some("lethal"));
    let said: Vec<_> = shown.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        said.iter().any(|text| text.contains("[heard: EARLIER]")),
        "{shown:?}"
    );
    assert!(!said.contains(&"agent_resumed"), "{shown:?}");
}

#[test]
fn a_crash_says_what_comes_back_and_recovering_is_told_while_it_lasts() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let kept = plane.prompt(&workspace, &agent, &[json!({"keep": null})]);
    assert_eq!(plane.finished(&kept), StopReason::EndTurn);
    let (agent, command) = plane.start_agent(&workspace, "sam-harness");
    plane.done(&command);
    plane.wait_for_event("it recovers", |event| {
        matches!(event, Event::AgentState { agent_session, state: AgentState::Activity { state } }
            if *agent_session == agent && *state == ActivityState::Recovering)
    });
    let (pid, never) = (machine.file("pid"), machine.file("never"));
    let script = [json!({"pid": pid}), json!({"await": never})];
    let prompt = plane.prompt(&workspace, &agent, &script);
    kill(number_in(&pid), Signal::KILL);
    let reason = plane.finished(&prompt);
    let says = "the agent killed by signal 9; with your next words it is started again and gets its conversation back";
    assert!(
        matches!(&reason, StopReason::Unknown { reason } if reason == says),
        "{reason:?}"
    );
    plane.assert_no_violations();
}
