//! What a task could be told, in any state.

use super::*;

/// An event that a machine could report about what a task has placed there,
/// true or not.
pub(super) fn event(task: &Task, kind: u8, n: u64) -> Event {
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

pub(super) fn task_input(task: &Task, mode: TaskMode, kind: u8, n: u64) -> Input<TaskLocal> {
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
            automatic: false,
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
        // What the agent does, as it says itself or as an earlier one did.
        26 | 27 => {
            let known = match &task.agent {
                AgentBinding::None => None,
                AgentBinding::Starting { agent_session }
                | AgentBinding::Ready { agent_session } => Some(agent_session.clone()),
            };
            let earlier = AgentSessionId::mint(Timestamp(n), 9);
            let state = match n % 3 {
                0 => ActivityState::Prompting,
                1 => ActivityState::WaitingForPerson,
                _ => ActivityState::Recovering,
            };
            message(Message::NodeEvent {
                workspace,
                attempt,
                event: Event::AgentState {
                    agent_session: known.filter(|_| kind == 26).unwrap_or(earlier),
                    state: AgentState::Activity { state },
                },
            })
        }
        // It ends its turn without having finished, and all that it said is there.
        28 => message(Message::NodeEvent {
            workspace,
            attempt,
            event: Event::PromptFinished {
                prompt: task
                    .prompt
                    .as_ref()
                    .map_or_else(|| prompt(n), |held| held.prompt.clone()),
                stop_reason: match n % 3 {
                    0 => StopReason::MaxTokens,
                    1 => StopReason::MaxTurnRequests,
                    _ => StopReason::NeedsInput {
                        question: "which?".to_owned(),
                    },
                },
                rows_through: n,
            },
        }),
        29 => message(Message::RowsComplete {
            prompt: task
                .prompt
                .as_ref()
                .map_or_else(|| prompt(n), |held| held.prompt.clone()),
        }),
        30 => message(Message::PromptDispatched {
            prompt: prompt(n),
            text: "What do you wait for?".to_owned(),
            body: None,
            context: String::new(),
            automatic: true,
        }),
        23 if n.is_multiple_of(7) => Input::Local(TaskLocal::SetTitle {
            title: format!("title {n}"),
        }),
        23 if n.is_multiple_of(5) => Input::Local(TaskLocal::Cancel { by: user() }),
        _ => message(Message::TaskSubmitted(Box::new(intent(mode)))),
    }
}
