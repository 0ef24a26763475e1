//! Machines under arbitrary input: whatever arrives, in whatever order.

use proptest::prelude::*;
use sam_domain::actor::message::{Origin, TaskIntent};
use sam_domain::actor::{Address, Input, Machine, Message};
use sam_domain::conversation::session::{
    Session, SessionLocal, SessionMachine, SessionOutput, branch, title,
};
use sam_domain::conversation::wire::{ActivityState, PromptState};
use sam_domain::id::{
    AgentSessionId, Id, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use sam_domain::link::frame::{
    AgentFrame, AgentState, Event, EventFrame, NodeFacts, PROTOCOL, StopReason,
};
use sam_domain::node::state::Node;
use sam_domain::node::step::{NodeLocal, NodeMachine};
use sam_domain::node::wire::{NodeState, NodeView};
use sam_domain::pool::state::Pool;
use sam_domain::pool::step::PoolMachine;
use sam_domain::task::state::{AgentBinding, Task};
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::{Millis, Timestamp, Turn};

fn user() -> UserId {
    UserId::mint(Timestamp(1), 1)
}

fn person(n: u64) -> UserId {
    UserId::mint(Timestamp(1), 1 + u128::from(n))
}

fn session() -> SessionId {
    SessionId::mint(Timestamp(1), 1)
}

fn project() -> ProjectId {
    ProjectId::mint(Timestamp(1), 1)
}

fn task(n: u64) -> TaskId {
    TaskId::mint(Timestamp(n), 1)
}

fn node(n: u64) -> NodeId {
    NodeId::mint(Timestamp(n), 1)
}

fn prompt(n: u64) -> PromptId {
    PromptId::mint(Timestamp(n), 1)
}

fn intent(mode: TaskMode) -> TaskIntent {
    TaskIntent {
        task: task(1),
        project: project(),
        session: session(),
        user: user(),
        pool: None,
        created_at: Timestamp(1),
        title: "work".to_owned(),
        repository: "/r".to_owned(),
        base: None,
        branch: "sam/work".to_owned(),
        agent: "sam-harness".to_owned(),
        mode,
        permission_mode: Default::default(),
        retry_of: None,
    }
}

/// An event that a machine could report about what a task has placed there,
/// true or not.
fn event(task: &Task, kind: u8, n: u64) -> Event {
    let agent_session = match &task.agent {
        AgentBinding::None => AgentSessionId::mint(Timestamp(n), 9),
        AgentBinding::Starting { agent_session } | AgentBinding::Ready { agent_session } => {
            agent_session.clone()
        }
    };
    let held = task
        .prompt
        .as_ref()
        .map_or_else(|| prompt(n), |held| held.prompt.clone());
    let command = task.awaited.first().map(|(id, _)| id.clone());
    match (kind, command) {
        (0, _) => Event::WorkspacePhase {
            phase: "cloning".to_owned(),
        },
        (1, _) => Event::WorkspaceReady {
            branch: "sam/work".to_owned(),
            base_commit: "0".to_owned(),
        },
        (2, _) => Event::AgentState {
            agent_session,
            state: AgentState::Ready,
        },
        (3, _) => {
            let state = AgentState::Ended {
                reason: "exited".to_owned(),
                stderr_tail: String::new(),
            };
            Event::AgentState {
                agent_session,
                state,
            }
        }
        (4, _) => Event::PromptStarted { prompt: held },
        (5, _) => Event::PromptFinished {
            prompt: held,
            stop_reason: StopReason::EndTurn,
            rows_through: n,
        },
        (6, _) => {
            let stop_reason = StopReason::Unknown {
                reason: "killed".to_owned(),
            };
            Event::PromptFinished {
                prompt: held,
                stop_reason,
                rows_through: n,
            }
        }
        (7, _) => {
            let stop_reason = StopReason::NeverRan {
                reason: "gone".to_owned(),
            };
            Event::PromptFinished {
                prompt: held,
                stop_reason,
                rows_through: n,
            }
        }
        (8, _) => Event::GitResult {
            commit: Some("c".to_owned()),
            push_error: n.is_multiple_of(3).then(|| "refused".to_owned()),
            files_changed: 1,
            added: 1,
            removed: 0,
            diff: None,
        },
        (9, Some(command)) => Event::CommandFailed {
            command,
            code: "failed".to_owned(),
            message: "failed".to_owned(),
            hint: None,
        },
        (_, Some(command)) => Event::CommandDone { command },
        (_, None) => Event::WorkspacePhase {
            phase: "checking_out".to_owned(),
        },
    }
}

fn task_input(task: &Task, mode: TaskMode, kind: u8, n: u64) -> Input<TaskLocal> {
    let from = Address::Node(node(1));
    let message = |message| Input::Message {
        from: from.clone(),
        message,
    };
    let workspace = task
        .workspace
        .clone()
        .unwrap_or_else(|| WorkspaceId::mint(Timestamp(n), 9));
    // One time in four it speaks of another attempt.
    let attempt = if n.is_multiple_of(4) {
        task.attempt.wrapping_sub(1)
    } else {
        task.attempt
    };
    match kind {
        0..=10 => message(Message::NodeEvent {
            workspace,
            attempt,
            event: event(task, kind, n),
        }),
        11 | 12 => message(Message::Placed {
            attempt,
            node: node(n % 2),
        }),
        13 => message(Message::PlacementWaiting {
            attempt,
            reason: "waiting".to_owned(),
        }),
        14 | 15 => message(Message::PromptDispatched {
            prompt: prompt(n),
            text: "go".to_owned(),
            body: None,
            context: String::new(),
        }),
        16 => message(Message::PromptCancelRequested { prompt: prompt(n) }),
        17 => message(Message::RowsComplete {
            prompt: task.rows_mark.clone().map_or_else(|| prompt(n), |(p, _)| p),
        }),
        18 => message(Message::WorkspaceLost { workspace, attempt }),
        19 => message(Message::NodeAway {
            since: Timestamp(n),
        }),
        20 => message(Message::NodeBack),
        21 => Input::DeadlinePassed,
        22 if n.is_multiple_of(2) => Input::Local(TaskLocal::ModelWaits {
            attempt,
            until: Timestamp(n.saturating_mul(3)),
        }),
        22 => Input::Local(TaskLocal::Close { by: user() }),
        23 if n.is_multiple_of(7) => Input::Local(TaskLocal::SetTitle {
            title: format!("title {n}"),
        }),
        23 if n.is_multiple_of(5) => Input::Local(TaskLocal::Cancel { by: user() }),
        _ => message(Message::TaskSubmitted(Box::new(intent(mode)))),
    }
}

/// The vm-agent reports both that the agent ended and that the command failed;
/// only the latter knows the cause and what a person can do.
#[test]
fn an_agent_that_does_not_start_fails_in_its_commands_words() {
    let mut task = Task::default();
    let mut entropy = 0;
    let mut step = |make: &dyn Fn(&Task) -> Input<TaskLocal>| {
        let input = make(&task);
        entropy += 1;
        let mut turn = Turn::new(Timestamp(10), entropy);
        let _ = TaskMachine::step(&mut task, &mut turn, input);
        task.clone()
    };
    let submitted = Message::TaskSubmitted(Box::new(intent(TaskMode::Task)));
    step(&|_| Input::Message {
        from: Address::Task(self::task(1)),
        message: submitted.clone(),
    });
    step(&|task| task_input(task, TaskMode::Task, 11, 1));
    step(&|task| task_input(task, TaskMode::Task, 1, 1));
    let starting = step(&|task| task_input(task, TaskMode::Task, 3, 1));
    assert_eq!(starting.state, TaskState::Starting);
    let (start, _) = starting.awaited.last().cloned().expect("a command");
    let failed = step(&|task| {
        let event = Event::CommandFailed {
            command: start.clone(),
            code: "agent_not_installed".to_owned(),
            message: "It is not there.".to_owned(),
            hint: Some("Install it.".to_owned()),
        };
        Input::Message {
            from: Address::Node(node(1)),
            message: Message::NodeEvent {
                workspace: task.workspace.clone().expect("a workspace"),
                attempt: 1,
                event,
            },
        }
    });
    let failure = failed.failure.expect("a failure");
    assert_eq!(failure.code, "agent_not_installed");
    assert_eq!(failure.message, "It is not there.");
    assert_eq!(failure.hint.as_deref(), Some("Install it."));
}

proptest! {
    #[test]
    fn a_task_keeps_its_word(
        inputs in proptest::collection::vec((0u8..26, 0u64..40), 0..150),
        conversation: bool,
    ) {
        let mode = if conversation { TaskMode::Conversation } else { TaskMode::Task };
        let mut state = Task::default();
        let mut now = Timestamp(10);
        for (kind, n) in inputs {
            now = now.plus(Millis::minutes(n));
            let before = state.clone();
            let input = task_input(&state, mode, kind, n);
            let stale = matches!(&input, Input::Message { message: Message::NodeEvent { attempt, .. }, .. } if *attempt != before.attempt);
            let transition = TaskMachine::step(&mut state, &mut Turn::new(now, n), input);
            prop_assert!(!before.state.is_terminal() || before.state == state.state, "terminal is final");
            prop_assert!(state.attempt >= before.attempt && state.rev >= before.rev);
            prop_assert!(!stale || before == state, "an older attempt changes nothing");
            let moving = matches!(
                state.state,
                TaskState::Placing | TaskState::Preparing | TaskState::Starting | TaskState::Finishing
            );
            prop_assert!(!moving || transition.deadline.is_some(), "{:?} without a deadline", state.state);
            prop_assert_eq!(state.state == TaskState::Failed, state.failure.is_some());
            prop_assert!(state.state != TaskState::AwaitingInput || state.prompt.is_none(), "a held prompt while a person is asked");
            let open = state.steps.iter().filter(|step| step.ended_at.is_none()).count();
            prop_assert!(open <= 1 && (open == 0 || !state.state.is_terminal()), "open steps");
            if before.state != state.state {
                prop_assert!(transition.send.iter().any(|(_, m)| matches!(m, Message::TaskChanged(_))), "a silent change");
            }
        }
    }

    #[test]
    fn a_conversation_keeps_its_word(inputs in proptest::collection::vec((0u8..12, 0u64..30), 0..120)) {
        let mut state = Session::default();
        let mut stored = std::collections::BTreeMap::new();
        for (at, (kind, n)) in inputs.into_iter().enumerate() {
            let live = state.task.as_ref().map_or_else(|| task(1), |live| live.id.clone());
            let message = |message| Input::Message { from: Address::Task(live.clone()), message };
            let flying = state.in_flight().map_or_else(|| prompt(n), |p| p.id.clone());
            let input = match kind {
                0 => Input::Local(SessionLocal::Submit {
                    intent: Box::new(intent(TaskMode::Task)), prompt: prompt(n), row: RowId::mint(Timestamp(n), 1), text: "go".to_owned(), body: None,
                }),
                1 | 2 => Input::Local(SessionLocal::AddPrompt {
                    prompt: prompt(n), row: RowId::mint(Timestamp(n), 1), by: user(), pool: None, text: "more".to_owned(), body: None,
                }),
                3 if n % 2 == 0 => Input::Local(SessionLocal::RemovePrompt { prompt: prompt(n) }),
                3 => Input::Local(SessionLocal::EditPrompt { prompt: prompt(n), text: format!("changed {at}"), body: None }),
                4 => Input::Local(SessionLocal::CancelTurn),
                5 => message(Message::PromptStarted { prompt: flying }),
                6 => message(Message::PromptEnded { prompt: flying, stop_reason: StopReason::EndTurn }),
                7 => message(Message::PromptReturned { prompt: flying }),
                8 | 9 => {
                    let mut view = Task::queued_view(&TaskIntent { task: live.clone(), ..intent(TaskMode::Task) });
                    view.state = if kind == 8 { TaskState::Completed } else { TaskState::Failed };
                    view.rev = n;
                    message(Message::TaskChanged(Box::new(view)))
                }
                10 if n % 2 == 0 => message(Message::ContinuationDue),
                10 => message(Message::ActivityChanged { state: ActivityState::Prompting, since: Timestamp(n) }),
                _ => message(Message::AwaitRows { prompt: flying, workspace: WorkspaceId::mint(Timestamp(n), 1), through: n }),
            };
            let before = state.clone();
            let transition = SessionMachine::step(&mut state, &mut Turn::new(Timestamp(at as u64), n), input);
            let flying = state.prompts.iter().filter(|p| matches!(p.state, PromptState::Sent | PromptState::Running)).count();
            prop_assert!(flying <= 1, "{flying} prompts in flight");
            for prompt in &before.prompts {
                if let (true, Some(now)) = (prompt.state.is_terminal(), state.prompt(&prompt.id)) {
                    prop_assert_eq!(prompt.state, now.state, "a prompt's end is final");
                }
            }
            for output in transition.output {
                if let SessionOutput::PutRow { id, rev, .. } = output {
                    let held = stored.insert(id.clone(), rev).unwrap_or(0);
                    prop_assert_eq!(rev, held + 1, "each version of a row is written once");
                    let waits = before.prompts.iter().any(|p| p.row == id && p.state == PromptState::Queued);
                    prop_assert!(rev == 1 || waits, "words are changed only while they wait");
                }
            }
            let dispatched = transition.send.iter().filter(|(_, m)| matches!(m, Message::PromptDispatched { .. })).count();
            prop_assert!(dispatched <= 1);
        }
    }

    #[test]
    fn a_node_keeps_its_word(inputs in proptest::collection::vec((0u8..9, 0u64..12), 0..120)) {
        let mut state = Node::default();
        let mut now = Timestamp(10);
        let mut taken = std::collections::BTreeMap::<String, u64>::new();
        for (kind, n) in inputs {
            now = now.plus(Millis::seconds(n * 10));
            let store_id = format!("store-{}", n % 3);
            let input = match kind {
                0 => Input::Local(NodeLocal::Join { node: node(1), owner: user(), name: "m".to_owned(), token_hmac: "h".to_owned() }),
                1 | 2 => Input::Local(NodeLocal::Frame { connection: n, frame: AgentFrame::Hello {
                    protocol: if n == 11 { PROTOCOL + 1 } else { PROTOCOL }, version: "1".to_owned(), store_id, boot_id: "b".to_owned(), boots: None,
                    facts: NodeFacts::default(), open_commands: Vec::new(), next_event: 1,
                } }),
                3 => Input::Local(NodeLocal::Closed { connection: n }),
                4 => Input::Local(NodeLocal::Frame { connection: state.link.connection.unwrap_or(n), frame: AgentFrame::Event(EventFrame {
                    n, workspace: None, attempt: 0, at: now, event: Event::Facts { facts: NodeFacts::default() },
                }) }),
                5 => Input::DeadlinePassed,
                6 => Input::Message { from: Address::Task(task(n)), message: Message::CommandRequested {
                    command: sam_domain::id::CommandId::mint(Timestamp(now.0), n.into()), workspace: WorkspaceId::mint(Timestamp(n), 1),
                    project: project(), session: session(), user: user(), attempt: 1, within: Millis::seconds(60),
                    action: sam_domain::link::frame::Action::StopAgent,
                } },
                7 => Input::Message { from: Address::Task(task(n)), message: Message::Fenced { below: 2 } },
                _ if n == 0 => Input::Local(NodeLocal::Leave),
                _ if n < 5 => Input::Local(NodeLocal::Drain { drains: n % 2 == 1 }),
                _ => continue,
            };
            let before = state.clone();
            let transition = NodeMachine::step(&mut state, &mut Turn::new(now, n), input);
            if before.link.acked_event < state.link.acked_event && before.link.store_id == state.link.store_id {
                let held = taken.entry(state.link.store_id.clone().unwrap_or_default()).or_insert(0);
                prop_assert!(state.link.acked_event > *held, "an event is taken once");
                *held = state.link.acked_event;
            } else if before.link.store_id != state.link.store_id {
                taken.insert(state.link.store_id.clone().unwrap_or_default(), state.link.acked_event);
            }
            let standing = if state.drains { NodeState::Ready } else { NodeState::Draining };
            prop_assert!(state.state != standing, "it takes work as its owner wants");
            prop_assert!(!before.left || state.left, "a machine that left is back");
            prop_assert!(!state.left || (!state.has_work() && state.workspaces.is_empty()), "work on a machine that left");
            let gone = transition.send.iter().filter(|(_, m)| matches!(m, Message::NodeLeft(_))).count();
            prop_assert_eq!(gone, if state.left && !before.left { 2 } else { 0 }, "its pool and the index are told once");
            let shown = transition.send.iter().any(|(_, m)| matches!(m, Message::NodeChanged(_) | Message::NodeIndexed(_)));
            prop_assert!(!state.left || !shown, "a machine that left is shown");
            let idle = state.link.connection.is_some()
                && !state.has_work()
                && state.state != NodeState::Contested;
            prop_assert!(!idle || transition.deadline.is_none(), "an idle link has an alarm");
            prop_assert!(state.joined.is_some() || state == Node::default(), "nobody joined");
        }
    }

    #[test]
    fn a_pool_never_gives_a_place_twice(inputs in proptest::collection::vec((0u8..5, 0u64..6, 0u32..4), 0..120)) {
        let mut state = Pool::default();
        let mut revs = 0;
        for (kind, n, attempt) in inputs {
            let from_task = |message| Input::Message { from: Address::Task(task(n)), message };
            let input = match kind {
                0 | 1 => from_task(Message::PlaceRequested {
                    attempt, agent: if n == 5 { "other" } else { "sam-harness" }.to_owned(),
                    origin: Some(Origin { user: person(n % 2), project: ProjectId::mint(Timestamp(n % 3), 1) }),
                }),
                2 => from_task(Message::Released { attempt }),
                _ => {
                    revs += 1;
                    let facts = NodeFacts { agents: vec!["sam-harness".to_owned()], max_workspaces: 1 + attempt, ..NodeFacts::default() };
                    let state = if kind == 3 { NodeState::Ready } else { NodeState::Away };
                    let view = NodeView {
                        id: node(n % 2), owner: user(), name: "m".to_owned(), class: "own".to_owned(), state, since: Timestamp(1),
                        facts, shared_with: (0..n % 3).map(|n| ProjectId::mint(Timestamp(n), 1)).collect(), workspaces: 0, rev: revs,
                    };
                    Input::Message { from: Address::Node(node(n % 2)), message: Message::NodeChanged(Box::new(view)) }
                }
            };
            let asked = match &input {
                Input::Message { from: Address::Task(task), message: Message::PlaceRequested { origin, .. } } => Some((task.clone(), origin.clone())),
                _ => None,
            };
            let before = state.clone();
            let transition = PoolMachine::step(&mut state, &mut Turn::new(Timestamp(1), 1), input);
            for (id, held) in &state.nodes {
                // Room that shrank takes nobody's place away; it only gives none.
                prop_assert!(state.taken(id) <= (held.room as usize).max(before.taken(id)));
            }
            for (to, message) in &transition.send {
                if let (Address::Task(id), Message::Placed { attempt, node }) = (to, message) {
                    let claim = state.claims.get(id).expect("a place that was given is kept");
                    prop_assert!(claim.attempt == *attempt && claim.node == *node);
                    let waited = before.waiting.iter().find(|w| w.task == *id).and_then(|w| w.origin.clone());
                    let origin = asked.iter().find(|(task, _)| task == id).map_or(waited, |(_, origin)| origin.clone());
                    let machine = state.nodes.get(node).expect("a place is on a node");
                    let again = before.claims.get(id) == Some(claim);
                    prop_assert!(again || origin.is_some_and(|o| machine.owner == Some(o.user) || machine.shared_with.contains(&o.project)), "a place for a stranger");
                }
            }
            prop_assert!(state.waiting.iter().all(|waiting| !state.claims.contains_key(&waiting.task)));
        }
    }

    #[test]
    fn a_branch_is_a_name_that_git_takes(words in "\\PC{0,200}") {
        let name = branch(&title(&words), &session());
        let short = name.strip_prefix("sam/").expect("prefix");
        prop_assert!(short.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        prop_assert!(!short.starts_with('-') && !short.contains("--") && name.len() < 60, "{name}");
    }
}

#[test]
fn stopped_workspaces_are_kept_up_to_a_number() {
    use sam_domain::id::CommandId;
    use sam_domain::link::frame::Action;
    let mut state = Node::default();
    let mut seed = 0;
    let mut step = |state: &mut Node, input| {
        seed += 1;
        NodeMachine::step(state, &mut Turn::new(Timestamp(seed), seed), input)
    };
    let join = NodeLocal::Join {
        node: node(1),
        owner: user(),
        name: "m".to_owned(),
        token_hmac: "h".to_owned(),
    };
    let _ = step(&mut state, Input::Local(join));
    let hello = AgentFrame::Hello {
        protocol: PROTOCOL,
        version: "1".to_owned(),
        store_id: "s".to_owned(),
        boot_id: "b".to_owned(),
        boots: None,
        facts: NodeFacts::default(),
        open_commands: Vec::new(),
        next_event: 1,
    };
    let _ = step(
        &mut state,
        Input::Local(NodeLocal::Frame {
            connection: 1,
            frame: hello,
        }),
    );
    let mut event_number = 0;
    for n in 0..40 {
        let workspace = WorkspaceId::mint(Timestamp(n), 1);
        for (kind, action) in [
            Action::PrepareWorkspace {
                session: session(),
                task: task(n),
                repository: "/r".to_owned(),
                base: None,
                branch: "b".to_owned(),
                agent: None,
            },
            Action::StopAgent,
        ]
        .into_iter()
        .enumerate()
        {
            let command = CommandId::mint(Timestamp(n), kind as u128);
            let message = Message::CommandRequested {
                command: command.clone(),
                workspace: workspace.clone(),
                project: project(),
                session: session(),
                user: user(),
                attempt: 1,
                within: Millis::seconds(60),
                action,
            };
            let _ = step(
                &mut state,
                Input::Message {
                    from: Address::Task(task(n)),
                    message,
                },
            );
            event_number += 1;
            let event = EventFrame {
                n: event_number,
                workspace: Some(workspace.clone()),
                attempt: 1,
                at: Timestamp(1),
                event: Event::CommandDone { command },
            };
            let frame = AgentFrame::Event(event);
            let _ = step(
                &mut state,
                Input::Local(NodeLocal::Frame {
                    connection: 1,
                    frame,
                }),
            );
        }
    }
    assert_eq!(state.live_workspaces(), 0);
    let leaving = state.commands.len();
    assert_eq!(
        leaving,
        40 - sam_domain::node::state::KEPT_WORKSPACES,
        "the oldest are told to go, once each"
    );
}

/// A pool with one machine of so many places, all of them taken, and who waits, in an order that
/// is not that of submission.
fn crowded(room: u32, waiting: &[(u64, u64)]) -> Pool {
    let mut pool = Pool::default();
    let mut tell = |from, message| {
        let input = Input::Message { from, message };
        let _ = PoolMachine::step(&mut pool, &mut Turn::new(Timestamp(1), 1), input);
    };
    let view = NodeView {
        id: node(1),
        owner: user(),
        name: "m".to_owned(),
        class: "own".to_owned(),
        state: NodeState::Ready,
        since: Timestamp(1),
        facts: NodeFacts {
            agents: vec!["sam-harness".to_owned()],
            max_workspaces: room,
            ..NodeFacts::default()
        },
        shared_with: Vec::new(),
        workspaces: 0,
        rev: 1,
    };
    tell(Address::Node(node(1)), Message::NodeChanged(Box::new(view)));
    let first = (0..u64::from(room)).map(|n| (n, 99));
    for (task_number, project) in first.chain(waiting.iter().copied()) {
        let message = Message::PlaceRequested {
            attempt: 1,
            agent: "sam-harness".to_owned(),
            origin: Some(Origin {
                user: user(),
                project: ProjectId::mint(Timestamp(project), 1),
            }),
        };
        tell(Address::Task(task(task_number)), message);
    }
    pool
}

/// Frees one place after the other and returns the tasks in the order in which they get them.
fn drained(mut pool: Pool) -> Vec<TaskId> {
    let mut order = Vec::new();
    loop {
        let Some(done) = pool.claims.keys().next().cloned() else {
            break order;
        };
        let input = Input::Message {
            from: Address::Task(done),
            message: Message::Released { attempt: 1 },
        };
        let transition = PoolMachine::step(&mut pool, &mut Turn::new(Timestamp(1), 1), input);
        for (to, message) in transition.send {
            if let (Address::Task(id), Message::Placed { .. }) = (to, message) {
                order.push(id);
            }
        }
    }
}

#[test]
fn places_are_given_in_the_order_of_submission_and_in_turn_between_projects() {
    // One project asked six times before the two others came.
    let waiting = [
        (10, 1),
        (12, 1),
        (11, 1),
        (15, 1),
        (14, 1),
        (13, 1),
        (21, 3),
        (20, 2),
        (22, 2),
    ];
    let expected = [10, 20, 21, 11, 22, 12, 13, 14, 15].map(task);
    assert_eq!(drained(crowded(2, &waiting)), expected);
    let pool = crowded(1, &[(30, 1), (31, 2)]);
    assert_eq!(drained(pool), [30, 31].map(task));
}

#[test]
fn a_project_that_asks_again_and_again_does_not_starve_the_others() {
    let mut pool = crowded(1, &[(10, 1), (11, 1), (12, 1), (13, 1)]);
    let mut order = Vec::new();
    for eager in 50..54 {
        // Another project has never more than one task waiting, and always one.
        let ask = Input::Message {
            from: Address::Task(task(eager)),
            message: Message::PlaceRequested {
                attempt: 1,
                agent: "sam-harness".to_owned(),
                origin: Some(Origin {
                    user: user(),
                    project: ProjectId::mint(Timestamp(7), 1),
                }),
            },
        };
        let _ = PoolMachine::step(&mut pool, &mut Turn::new(Timestamp(1), 1), ask);
        for _ in 0..2 {
            let done = pool
                .claims
                .keys()
                .next()
                .cloned()
                .expect("someone is at work");
            let release = Input::Message {
                from: Address::Task(done),
                message: Message::Released { attempt: 1 },
            };
            let _ = PoolMachine::step(&mut pool, &mut Turn::new(Timestamp(1), 1), release);
            order.extend(pool.claims.keys().cloned());
        }
    }
    let expected = [10, 50, 11, 51, 12, 52, 13, 53].map(task);
    assert_eq!(order, expected);
}
