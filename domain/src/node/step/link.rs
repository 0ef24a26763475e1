//! What comes from the machine: its greeting, and events with what they cause.

use super::*;

impl Step<'_> {
    pub(super) fn frame(&mut self, connection: u64, frame: AgentFrame) {
        match frame {
            AgentFrame::Hello {
                protocol,
                store_id,
                boot_id,
                boots,
                facts,
                open_commands,
                next_event,
                ..
            } => {
                if protocol == PROTOCOL {
                    let link = &mut self.node.link;
                    let who = Who {
                        store_id: &store_id,
                        boot_id: &boot_id,
                        boots: boots.as_deref(),
                    };
                    let said = link.hello(connection, who, next_event);
                    self.hello(connection, said, facts, &open_commands);
                } else {
                    self.refuse(connection, "protocol");
                }
            }
            AgentFrame::Event(event) => self.event(connection, event),
            // A command that was sent is not sent again on this connection, and
            // the next hello says what arrived: an ack needs no write.
            // The shell hands an answer to whoever waits for it.
            AgentFrame::Ack { .. } | AgentFrame::Answer(_) | AgentFrame::Ping => {}
        }
    }

    pub(super) fn refuse(&mut self, connection: u64, reason: &'static str) {
        let frame = Box::new(ObjectFrame::Bye {
            reason: reason.to_owned(),
        });
        self.output.push(NodeOutput::Send { connection, frame });
        self.output.push(NodeOutput::Close { connection, reason });
    }

    fn hello(
        &mut self,
        connection: u64,
        (meaning, replaced): (Hello, Option<u64>),
        facts: NodeFacts,
        open_commands: &[CommandId],
    ) {
        match meaning {
            Hello::Contested | Hello::Copied => {
                self.refuse(connection, "contested");
                self.contested();
                if meaning == Hello::Copied {
                    self.give_up_workspaces();
                }
                return;
            }
            Hello::Late => {
                self.refuse(connection, "replaced");
                return;
            }
            Hello::Same | Hello::NewStore | Hello::Rewound => {}
        }
        if let Some(older) = replaced {
            self.refuse(older, "replaced");
        }
        match meaning {
            Hello::NewStore => {
                self.disk_lost();
                self.disk_found();
            }
            Hello::Rewound => self.give_up_workspaces(),
            _ => {}
        }
        let was_away = self.node.state == NodeState::Away;
        self.node.facts = facts;
        self.node.last_seen = self.turn.now;
        if self.node.state != NodeState::Contested {
            self.enter(self.node.at_hand());
        }
        if was_away {
            self.tell_tasks(&Message::NodeBack);
        }
        let now = self.turn.now;
        let mut commands = Vec::new();
        for queued in &mut self.node.commands {
            if !open_commands.contains(&queued.command.id) {
                commands.push(queued.at(now));
            }
            queued.sent = true;
        }
        let welcome = ObjectFrame::Welcome {
            acked_event: self.node.link.acked_event,
            commands,
            lease: self.node.lease(),
        };
        self.output.push(NodeOutput::Send {
            connection,
            frame: Box::new(welcome),
        });
    }

    /// A rival was refused: the node keeps its work and gets no more of it. One
    /// that is away stays away until its own agent is back.
    fn contested(&mut self) {
        if self.node.is_here() {
            self.enter(NodeState::Contested);
            self.node.contested_until = Some(self.turn.now.plus(CONTEST_LIMIT));
        }
    }

    /// There are two copies of one disk, or an older state of it, and nobody
    /// knows what is on it: each workspace counts as lost, and is stopped where
    /// it still runs.
    fn give_up_workspaces(&mut self) {
        let live: Vec<_> = self
            .node
            .workspaces
            .iter()
            .filter(|(_, placement)| placement.is_live())
            .map(|(id, placement)| (id.clone(), placement.task.clone(), placement.attempt))
            .collect();
        for (workspace, task, attempt) in live {
            self.fence(&task, attempt.saturating_add(1));
            let message = Message::WorkspaceLost { workspace, attempt };
            self.send.push((Address::Task(task), message));
        }
    }

    /// The machine does not come back: what was on it, or was to be, is lost.
    pub(super) fn lose_everything(&mut self) {
        self.node.commands.clear();
        self.node.left_behind.clear();
        for (workspace, placement) in std::mem::take(&mut self.node.workspaces) {
            if placement.is_live() {
                let attempt = placement.attempt;
                let message = Message::WorkspaceLost { workspace, attempt };
                self.send.push((Address::Task(placement.task), message));
            }
        }
    }

    /// Another disk is behind the node: what was on the old one is gone. What
    /// was never sent was not on it.
    fn disk_lost(&mut self) {
        let left = self.node.link.former_stores.last().cloned();
        let unborn: Vec<_> = self
            .node
            .commands
            .iter()
            .filter(|queued| !queued.sent && queued.makes_workspace())
            .map(|queued| queued.command.workspace.clone())
            .collect();
        let lost: Vec<_> = self
            .node
            .workspaces
            .keys()
            .filter(|id| !unborn.contains(id))
            .cloned()
            .collect();
        for workspace in lost {
            self.node
                .commands
                .retain(|queued| queued.command.workspace != workspace);
            let Some(placement) = self.node.workspaces.remove(&workspace) else {
                continue;
            };
            if !placement.fenced {
                let message = Message::WorkspaceLost {
                    workspace: workspace.clone(),
                    attempt: placement.attempt,
                };
                let task = placement.task.clone();
                self.send.push((Address::Task(task), message));
            }
            self.node
                .left_behind
                .extend(left.clone().map(|store_id| LeftBehind {
                    store_id,
                    workspace,
                    placement,
                }));
        }
        let excess = self.node.left_behind.len().saturating_sub(LEFT_BEHIND);
        self.node.left_behind.drain(..excess);
    }

    /// A disk that was left behind was joined anew: what is on it counted as
    /// lost, and is stopped where it still runs.
    fn disk_found(&mut self) {
        let here = self.node.link.store_id.clone();
        let (found, elsewhere) = std::mem::take(&mut self.node.left_behind)
            .into_iter()
            .partition(|left| Some(&left.store_id) == here.as_ref());
        self.node.left_behind = elsewhere;
        let found: Vec<LeftBehind> = found;
        for LeftBehind {
            workspace,
            placement,
            ..
        } in found
        {
            let (task, attempt) = (placement.task.clone(), placement.attempt);
            let again = Placement {
                fenced: false,
                stopped_at: None,
                ..placement
            };
            self.node.workspaces.entry(workspace).or_insert(again);
            self.fence(&task, attempt.saturating_add(1));
        }
    }

    fn event(&mut self, connection: u64, frame: EventFrame) {
        let n = frame.n;
        match self.node.link.event(connection, n) {
            Incoming::Ignore => return,
            Incoming::Seen => {}
            Incoming::Take => {
                self.node.last_seen = self.turn.now;
                self.take_event(frame);
            }
        }
        if let Some(store_id) = self.node.link.store_id.clone() {
            let frame = Box::new(ObjectFrame::Acked {
                store_id,
                n: self.node.link.acked_event.max(n),
            });
            self.output.push(NodeOutput::Send { connection, frame });
        }
    }

    fn take_event(&mut self, frame: EventFrame) {
        let EventFrame {
            workspace,
            attempt,
            event,
            ..
        } = frame;
        if let Event::Facts { facts } = event {
            self.node.facts = facts;
            return;
        }
        let Some(workspace) = workspace else {
            return;
        };
        let (mut deleted, mut stopped) = (false, false);
        if let Event::CommandDone { command } | Event::CommandFailed { command, .. } = &event {
            let done = self
                .node
                .commands
                .iter()
                .position(|queued| queued.command.id == *command);
            if let Some(queued) = done.map(|at| self.node.commands.remove(at)) {
                let done = matches!(event, Event::CommandDone { .. });
                deleted = done && matches!(queued.command.action, Action::DeleteWorkspace);
                stopped = done && matches!(queued.command.action, Action::StopAgent);
            }
        }
        if let Some(placement) = self.node.workspaces.get(&workspace)
            && placement.attempt == attempt
            && !placement.fenced
        {
            let to = Address::Task(placement.task.clone());
            self.send.push((
                to,
                Message::NodeEvent {
                    workspace: workspace.clone(),
                    attempt,
                    event,
                },
            ));
        }
        if deleted {
            self.node.workspaces.remove(&workspace);
        }
        if stopped && let Some(placement) = self.node.workspaces.get_mut(&workspace) {
            placement.stopped_at = Some(self.turn.now);
            self.make_room();
        }
    }

    /// Removes the oldest stopped workspaces beyond those that are kept.
    pub(super) fn make_room(&mut self) {
        let leaving = |id: &WorkspaceId| {
            let deletes =
                |queued: &QueuedCommand| matches!(queued.command.action, Action::DeleteWorkspace);
            self.node
                .commands
                .iter()
                .any(|queued| queued.command.workspace == *id && deletes(queued))
        };
        let mut kept: Vec<_> = self
            .node
            .workspaces
            .iter()
            .filter(|(id, _)| !leaving(id))
            .filter_map(|(id, placement)| {
                Some((placement.stopped_at?, id.clone(), placement.attempt))
            })
            .collect();
        collect::sort_few(&mut kept, Ord::cmp);
        kept.truncate(kept.len().saturating_sub(KEPT_WORKSPACES));
        for (_, workspace, attempt) in kept {
            let id = CommandId::draw(self.turn);
            self.enqueue(id, workspace, attempt, FENCE_LIMIT, Action::DeleteWorkspace);
        }
    }
}
