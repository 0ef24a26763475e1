//! The link: commands begin once, events are taken once and in order, however
//! often the connection breaks and the agent is killed.

use proptest::prelude::*;
use sam_domain::id::{CommandId, Id, WorkspaceId};
use sam_domain::link::agent_end::{AgentEnd, Do, Draft, Identity, Outcome, Stored};
use sam_domain::link::frame::{Action, AgentFrame, Command, Event, LEASE, NodeFacts, ObjectFrame};
use sam_domain::link::object_end::{Incoming, ObjectEnd, Who};
use sam_domain::time::{Millis, Timestamp};
use std::collections::BTreeMap;

fn identity() -> Identity {
    Identity {
        store_id: "store".to_owned(),
        boot_id: "boot".to_owned(),
        boots: None,
        version: "test".to_owned(),
        facts: NodeFacts::default(),
    }
}

fn command(n: u32) -> Command {
    Command {
        id: CommandId::mint(Timestamp(u64::from(n)), 1),
        workspace: WorkspaceId::mint(Timestamp(1), 1),
        attempt: 1,
        remaining: Millis(1_000),
        action: Action::StopAgent,
    }
}

/// Both ends with a wire between them that can break at every frame.
struct Pair {
    disk: Stored,
    agent: AgentEnd,
    object: ObjectEnd,
    connection: u64,
    up: bool,
    wanted: Vec<Command>,
    begun: BTreeMap<CommandId, u32>,
    taken: Vec<u64>,
    emitted: u64,
}

impl Pair {
    fn new() -> Self {
        Self {
            disk: Stored::default(),
            agent: AgentEnd::restore(identity(), Stored::default()),
            object: ObjectEnd::default(),
            connection: 0,
            up: false,
            wanted: Vec::new(),
            begun: BTreeMap::new(),
            taken: Vec::new(),
            emitted: 0,
        }
    }

    /// Performs an outcome. `survives` says after how many of its parts (the
    /// write counts as one) the process is killed.
    fn perform(&mut self, outcome: Outcome, survives: usize) {
        if survives == 0 {
            self.restart();
            return;
        }
        for write in &outcome.write {
            self.disk.apply(write);
        }
        for (done, action) in outcome.then.into_iter().enumerate() {
            if done + 1 >= survives {
                self.restart();
                return;
            }
            match action {
                Do::Send(frame) => self.arrives(frame),
                Do::Begin(command) => *self.begun.entry(command.id).or_insert(0) += 1,
                Do::Close { .. } => self.up = false,
            }
        }
    }

    fn restart(&mut self) {
        self.up = false;
        self.agent = AgentEnd::restore(identity(), self.disk.clone());
    }

    fn connect(&mut self, survives: usize) {
        self.connection += 1;
        self.up = true;
        let outcome = self.agent.connected();
        self.perform(outcome, survives);
    }

    fn arrives(&mut self, frame: AgentFrame) {
        if !self.up {
            return;
        }
        let connection = self.connection;
        let reply = match frame {
            AgentFrame::Hello {
                store_id,
                boot_id,
                open_commands,
                next_event,
                ..
            } => {
                let who = Who {
                    store_id: &store_id,
                    boot_id: &boot_id,
                    boots: None,
                };
                self.object.hello(connection, who, next_event);
                let commands = self
                    .wanted
                    .iter()
                    .filter(|c| !open_commands.contains(&c.id))
                    .cloned()
                    .collect();
                ObjectFrame::Welcome {
                    acked_event: self.object.acked_event,
                    commands,
                    lease: LEASE,
                }
            }
            AgentFrame::Event(event) => match self.object.event(connection, event.n) {
                Incoming::Ignore => return,
                Incoming::Seen => ObjectFrame::Acked {
                    store_id: "store".to_owned(),
                    n: event.n,
                },
                Incoming::Take => {
                    self.taken.push(event.n);
                    if let Event::CommandDone { command } = event.event {
                        self.wanted.retain(|wanted| wanted.id != command);
                    }
                    ObjectFrame::Acked {
                        store_id: "store".to_owned(),
                        n: event.n,
                    }
                }
            },
            AgentFrame::Ack { .. } | AgentFrame::Answer(_) | AgentFrame::Ping => return,
        };
        let outcome = self.agent.frame(reply);
        self.perform(outcome, usize::MAX);
    }

    fn emit(&mut self, survives: usize) {
        let draft = Draft {
            workspace: None,
            attempt: 1,
            at: Timestamp(1),
            event: Event::WorkspacePhase {
                phase: "cloning".to_owned(),
            },
        };
        let outcome = self.agent.emit(draft);
        self.emitted += u64::from(survives > 0);
        self.perform(outcome, survives);
    }

    fn finish_one(&mut self, survives: usize) {
        let Some(open) = self.agent.open_commands().next().cloned() else {
            return;
        };
        let event = Event::CommandDone {
            command: open.id.clone(),
        };
        let draft = Draft {
            workspace: None,
            attempt: 1,
            at: Timestamp(1),
            event,
        };
        let outcome = self.agent.finish(&open.id, vec![draft]);
        self.emitted += u64::from(survives > 0);
        self.perform(outcome, survives);
    }

    fn want(&mut self, n: u32) {
        let command = command(n);
        self.wanted.push(command.clone());
        if self.up {
            let outcome = self.agent.frame(ObjectFrame::Command(command));
            self.perform(outcome, usize::MAX);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Want,
    Emit(usize),
    Finish(usize),
    Connect(usize),
    Cut,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let survives = || prop_oneof![4 => Just(usize::MAX), 1 => 0usize..4];
    let step = prop_oneof![
        3 => Just(Step::Want),
        3 => survives().prop_map(Step::Emit),
        3 => survives().prop_map(Step::Finish),
        3 => survives().prop_map(Step::Connect),
        1 => Just(Step::Cut),
        1 => Just(Step::Kill),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn commands_begin_once_and_events_are_taken_once(steps in steps()) {
        let mut pair = Pair::new();
        let mut commands = 0;
        for step in steps {
            match step {
                Step::Want => { commands += 1; pair.want(commands); }
                Step::Emit(survives) => pair.emit(survives),
                Step::Finish(survives) => pair.finish_one(survives),
                Step::Connect(survives) => pair.connect(survives),
                Step::Cut => { pair.up = false; pair.agent.disconnected(); }
                Step::Kill => pair.restart(),
            }
        }
        for _ in 0..3 {
            pair.connect(usize::MAX);
            while pair.agent.open_commands().next().is_some() {
                pair.finish_one(usize::MAX);
            }
        }
        prop_assert!(pair.wanted.is_empty(), "still wanted: {:?}", pair.wanted);
        prop_assert!(pair.begun.values().all(|times| *times == 1), "{:?}", pair.begun);
        prop_assert_eq!(pair.taken, (1..=pair.emitted).collect::<Vec<_>>());
        prop_assert_eq!(pair.agent.pending_events(), 0);
        prop_assert!(pair.disk.events.is_empty() && pair.disk.finished.is_empty() && pair.disk.commands.is_empty());
    }
}

#[test]
fn what_is_owed_goes_out_before_a_command_begins() {
    let mut agent = AgentEnd::restore(identity(), Stored::default());
    let _ = agent.emit(Draft {
        workspace: None,
        attempt: 0,
        at: Timestamp(1),
        event: Event::WorkspacePhase {
            phase: "cloning".to_owned(),
        },
    });
    let _ = agent.connected();
    let welcomed = agent.frame(ObjectFrame::Welcome {
        acked_event: 0,
        lease: LEASE,
        commands: vec![command(1)],
    });
    let at = |what: &dyn Fn(&Do) -> bool| welcomed.then.iter().position(what).unwrap();
    let owed = at(&|step| matches!(step, Do::Send(AgentFrame::Event(_))));
    let begun = at(&|step| matches!(step, Do::Begin(_)));
    assert!(owed < begun, "{:?}", welcomed.then);
}
