//! The node's end of the link, without I/O.
//!
//! Model: a set of commands that are on disk and not done, and a numbered list
//! of events that the control plane has not stored yet. Every method returns an
//! [`Outcome`]: what to write to disk, as one transaction, and what to do once
//! it is written. The order is the whole point: a command is on disk before it
//! is acknowledged or begun, an event is on disk before it is sent.
//!
//! Invariants:
//! - A command id begins at most once within a store id, however often it is sent.
//! - A command that is done is remembered until the event that says so is
//!   acknowledged; after that the control plane never sends it again.
//! - Event numbers grow by one within a store id and are never reused.
//!
//! It does not know what a command does, nor how frames travel.

use super::frame::{AgentFrame, Command, Event, EventFrame, NodeFacts, ObjectFrame, PROTOCOL};
use crate::id::{CommandId, WorkspaceId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// One write to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Keep a command.
    PutCommand(Command),
    /// The command is done; event `event` says so.
    FinishCommand {
        /// Which.
        command: CommandId,
        /// The number of the event that says so.
        event: u64,
    },
    /// Forget finished commands whose event is at or below this number.
    ForgetFinishedThrough(u64),
    /// Keep an event.
    PutEvent(EventFrame),
    /// Forget events up to and including this number.
    DropEventsThrough(u64),
}

/// What to do once the writes are on disk, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Send a frame; it may be lost.
    Send(AgentFrame),
    /// Begin a command.
    Begin(Command),
    /// Close the connection; reconnect unless `for_good`.
    Close {
        /// Why.
        reason: String,
        /// The control plane will not take this node back by itself.
        for_good: bool,
    },
}

/// What a method asks for: first `write` as one transaction, then `then`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// To be written as one transaction, before anything of `then`.
    pub write: Vec<Write>,
    /// To be done in order.
    pub then: Vec<Do>,
}

/// What lies on the node's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Commands that are not done, in the order they arrived.
    pub commands: Vec<Command>,
    /// Commands that are done, with the number of the event that says so.
    pub finished: BTreeMap<CommandId, u64>,
    /// Events not yet acknowledged, in order.
    pub events: Vec<EventFrame>,
    /// The number the next event gets; at least 1.
    pub next_event: u64,
}

impl Stored {
    /// Applies one write, as the disk does.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::PutCommand(command) => {
                if !self.commands.iter().any(|held| held.id == command.id) {
                    self.commands.push(command.clone());
                }
            }
            Write::FinishCommand { command, event } => {
                self.commands.retain(|held| held.id != *command);
                self.finished.insert(command.clone(), *event);
            }
            Write::ForgetFinishedThrough(n) => self.finished.retain(|_, event| *event > *n),
            Write::PutEvent(event) => {
                self.next_event = self.next_event.max(event.n + 1);
                self.events.push(event.clone());
            }
            Write::DropEventsThrough(n) => {
                self.next_event = self.next_event.max(n + 1);
                self.events.retain(|event| event.n > *n);
            }
        }
    }
}

/// Who the node is; sent in every hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity of the disk.
    pub store_id: String,
    /// The identity of this process.
    pub boot_id: String,
    /// The processes that ran on this disk before, newest last, when it says so.
    pub boots: Option<Vec<String>>,
    /// The vm-agent's version.
    pub version: String,
    /// What the machine is.
    pub facts: NodeFacts,
}

/// An event before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The workspace it is about, if any.
    pub workspace: Option<WorkspaceId>,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The node's end of the link.
#[derive(Clone, Debug)]
pub struct AgentEnd {
    identity: Identity,
    /// In the order they arrived, which ids do not tell when clocks jump.
    commands: Vec<Command>,
    finished: BTreeMap<CommandId, u64>,
    events: VecDeque<EventFrame>,
    next_event: u64,
    welcomed: bool,
}

impl AgentEnd {
    /// The end as it stands after a start, from what lies on disk. The caller
    /// decides what becomes of [`AgentEnd::open_commands`]: begin them again, or
    /// finish them with an event.
    #[must_use]
    pub fn restore(identity: Identity, stored: Stored) -> Self {
        Self {
            identity,
            commands: stored.commands,
            finished: stored.finished,
            events: stored.events.into(),
            next_event: stored.next_event.max(1),
            welcomed: false,
        }
    }

    /// Commands that are on disk and not done, in the order they arrived.
    pub fn open_commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// What the machine is, as it last said.
    #[must_use]
    pub const fn said_facts(&self) -> &NodeFacts {
        &self.identity.facts
    }

    /// Events the control plane has not stored yet.
    #[must_use]
    pub fn pending_events(&self) -> usize {
        self.events.len()
    }

    /// Whether the control plane has welcomed this connection.
    #[must_use]
    pub const fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// A connection is up: say hello.
    pub fn connected(&mut self) -> Outcome {
        self.welcomed = false;
        let hello = AgentFrame::Hello {
            protocol: PROTOCOL,
            version: self.identity.version.clone(),
            store_id: self.identity.store_id.clone(),
            boot_id: self.identity.boot_id.clone(),
            boots: self.identity.boots.clone(),
            facts: self.identity.facts.clone(),
            open_commands: self
                .commands
                .iter()
                .map(|command| &command.id)
                .chain(self.finished.keys())
                .cloned()
                .collect(),
            next_event: self.events.front().map_or(self.next_event, |event| event.n),
        };
        Outcome {
            write: Vec::new(),
            then: vec![Do::Send(hello)],
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.welcomed = false;
    }

    /// Takes in a frame.
    pub fn frame(&mut self, frame: ObjectFrame) -> Outcome {
        match frame {
            ObjectFrame::Welcome {
                acked_event,
                commands,
                // The shell keeps the link's time.
                lease: _,
            } => {
                let mut outcome = self.acknowledged(acked_event);
                self.welcomed = true;
                // What is owed goes first: a command begun at once may have events of its own, and
                // one that overtakes an earlier one is not taken in.
                outcome.then.extend(
                    self.events
                        .iter()
                        .cloned()
                        .map(|event| Do::Send(AgentFrame::Event(event))),
                );
                for command in commands {
                    let more = self.command(command);
                    outcome.write.extend(more.write);
                    outcome.then.extend(more.then);
                }
                outcome
            }
            ObjectFrame::Command(command) => self.command(command),
            ObjectFrame::Acked { store_id, n } if store_id == self.identity.store_id => {
                self.acknowledged(n)
            }
            // The shell answers: a question is not the machine's to keep.
            ObjectFrame::Acked { .. } | ObjectFrame::Ask(_) | ObjectFrame::Pong => {
                Outcome::default()
            }
            ObjectFrame::Bye { reason } => {
                self.welcomed = false;
                let for_good = matches!(reason.as_str(), "revoked" | "contested" | "protocol");
                Outcome {
                    write: Vec::new(),
                    then: vec![Do::Close { reason, for_good }],
                }
            }
        }
    }

    fn command(&mut self, command: Command) -> Outcome {
        let ack = Do::Send(AgentFrame::Ack {
            command: command.id.clone(),
        });
        let open = self.commands.iter().any(|held| held.id == command.id);
        if open || self.finished.contains_key(&command.id) {
            return Outcome {
                write: Vec::new(),
                then: vec![ack],
            };
        }
        self.commands.push(command.clone());
        Outcome {
            write: vec![Write::PutCommand(command.clone())],
            then: vec![ack, Do::Begin(command)],
        }
    }

    fn acknowledged(&mut self, n: u64) -> Outcome {
        if self.events.front().is_none_or(|event| event.n > n) && self.next_event > n {
            return Outcome::default();
        }
        self.events.retain(|event| event.n > n);
        self.finished.retain(|_, event| *event > n);
        self.next_event = self.next_event.max(n + 1);
        Outcome {
            write: vec![Write::DropEventsThrough(n), Write::ForgetFinishedThrough(n)],
            then: Vec::new(),
        }
    }

    /// Something happened.
    pub fn emit(&mut self, draft: Draft) -> Outcome {
        self.record(vec![draft], None)
    }

    /// A command is over: `drafts` are its events, the last of which must be
    /// its `command_done` or `command_failed`. All are written in one
    /// transaction, so a crash either repeats the command or keeps its outcome.
    pub fn finish(&mut self, command: &CommandId, drafts: Vec<Draft>) -> Outcome {
        self.record(drafts, Some(command))
    }

    /// Facts changed; they go out with this event and with every later hello.
    pub fn facts(&mut self, facts: NodeFacts, at: Timestamp) -> Outcome {
        self.identity.facts = facts.clone();
        self.emit(Draft {
            workspace: None,
            attempt: 0,
            at,
            event: Event::Facts { facts },
        })
    }

    fn record(&mut self, drafts: Vec<Draft>, finished: Option<&CommandId>) -> Outcome {
        let mut outcome = Outcome::default();
        for draft in drafts {
            let event = EventFrame {
                n: self.next_event,
                workspace: draft.workspace,
                attempt: draft.attempt,
                at: draft.at,
                event: draft.event,
            };
            self.next_event += 1;
            self.events.push_back(event.clone());
            if self.welcomed {
                outcome
                    .then
                    .push(Do::Send(AgentFrame::Event(event.clone())));
            }
            outcome.write.push(Write::PutEvent(event));
        }
        let open = |id: &CommandId| self.commands.iter().position(|held| held.id == *id);
        if let Some((command, at)) = finished.and_then(|id| Some((id, open(id)?))) {
            self.commands.remove(at);
            let event = self.next_event.saturating_sub(1);
            self.finished.insert(command.clone(), event);
            outcome.write.push(Write::FinishCommand {
                command: command.clone(),
                event,
            });
        }
        outcome
    }
}
