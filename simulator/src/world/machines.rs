//! Machines: what a vm-agent does with its commands.

use super::*;

impl World {
    /// Writes, then does; the process may die before the one or the other.
    pub(super) fn vm_perform(&mut self, vm: usize, outcome: Outcome) {
        if self.breaks(1) {
            self.kill(vm);
            return;
        }
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        for write in &outcome.write {
            machine.disk.link.apply(write);
        }
        let (boot, connection) = (machine.boot, machine.connection);
        if self.breaks(1) {
            self.kill(vm);
            return;
        }
        for action in outcome.then {
            match action {
                Do::Send(frame) => {
                    if let Some(connection) = connection
                        && let Some(at) = self.travel(vm, connection, false)
                    {
                        self.at(
                            at,
                            Happening::ToObject {
                                vm,
                                connection,
                                frame,
                            },
                        );
                    }
                }
                Do::Begin(command) => {
                    let span = self.random.span(1, 5_000);
                    self.after(
                        span,
                        Happening::Machine {
                            vm,
                            boot,
                            step: VmStep::Begin(command),
                        },
                    );
                }
                Do::Close { .. } => self.drop_wire(vm, false),
            }
        }
    }

    pub(super) fn kill(&mut self, vm: usize) {
        self.ledger.counts.kills += 1;
        self.drop_wire(vm, true);
        let lost = self.breaks(10);
        let count = self.ledger.counts.disks_lost;
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.kill();
            if lost {
                machine.lose_disk(count);
            }
        }
        self.ledger.counts.disks_lost += u64::from(lost);
        let least = if self.random.chance(10) {
            300_000
        } else {
            1_000
        };
        let span = self.random.span(least, least + 60_000);
        self.after(span, Happening::Restart(vm));
    }

    pub(super) fn restart(&mut self, vm: usize) {
        let now = self.now;
        let Some(machine) = self.vms.get_mut(vm).filter(|vm| vm.agent.is_none()) else {
            return;
        };
        let drafts = machine.start(now);
        let boot = machine.boot;
        let mut again = Vec::new();
        if let Some(agent) = machine.agent.as_mut() {
            for draft in drafts {
                for write in agent.emit(draft).write {
                    machine.disk.link.apply(&write);
                }
            }
            again.extend(agent.open_commands().cloned());
        }
        for command in again {
            let span = self.random.span(1, 1_000);
            self.after(
                span,
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::Begin(command),
                },
            );
        }
        let posts: Vec<_> = self
            .vms
            .get(vm)
            .map(|vm| vm.disk.workspaces.keys().cloned().collect())
            .unwrap_or_default();
        for workspace in posts {
            self.after(
                Millis(10),
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::PostRows(workspace),
                },
            );
        }
        self.after(Millis(20), Happening::Dial(vm));
        if self.faults {
            let span = self.random.span(5_000, 2_400_000);
            self.after(span, Happening::Kill(vm));
        }
    }

    pub(super) fn finish(&mut self, vm: usize, command: &Command, mut events: Vec<Event>) {
        if !events
            .iter()
            .any(|event| matches!(event, Event::CommandFailed { .. }))
        {
            events.push(Event::CommandDone {
                command: command.id.clone(),
            });
        }
        let at = self.now;
        let drafts = events
            .into_iter()
            .map(|event| Draft {
                workspace: Some(command.workspace.clone()),
                attempt: command.attempt,
                at,
                event,
            })
            .collect();
        let outcome = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.agent.as_mut())
            .map(|agent| agent.finish(&command.id, drafts));
        if let Some(outcome) = outcome {
            self.vm_perform(vm, outcome);
        }
    }

    pub(super) fn emit(&mut self, vm: usize, workspace: &WorkspaceId, attempt: u32, event: Event) {
        let draft = Draft {
            workspace: Some(workspace.clone()),
            attempt,
            at: self.now,
            event,
        };
        let outcome = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.agent.as_mut())
            .map(|agent| agent.emit(draft));
        if let Some(outcome) = outcome {
            self.vm_perform(vm, outcome);
        }
    }

    pub(super) fn failed(command: &CommandId, code: &str) -> Event {
        Event::CommandFailed {
            command: command.clone(),
            code: code.to_owned(),
            message: code.to_owned(),
            hint: None,
        }
    }

    pub(super) fn vm_step(&mut self, vm: usize, step: VmStep) {
        let boot = self.vms.get(vm).map_or(0, |vm| vm.boot);
        match step {
            VmStep::Begin(command) => self.begin(vm, boot, command),
            VmStep::Prepared(command) => {
                let events = if self.breaks(5) {
                    vec![Self::failed(&command.id, "clone_failed")]
                } else {
                    vec![Event::WorkspaceReady {
                        branch: "sam/x".to_owned(),
                        base_commit: "0".to_owned(),
                    }]
                };
                self.finish(vm, &command, events);
            }
            VmStep::AgentUp(command) => self.agent_up(vm, &command),
            VmStep::Work(workspace, prompt) => self.work(vm, boot, workspace, prompt),
            VmStep::Committed(command) => {
                let push_error = self.breaks(5).then(|| "refused".to_owned());
                let commit = Some("abc".to_owned());
                let result = Event::GitResult {
                    commit,
                    push_error,
                    files_changed: 1,
                    added: 1,
                    removed: 0,
                    diff: None,
                };
                self.finish(vm, &command, vec![result]);
            }
            VmStep::PostRows(workspace) => self.post_rows(vm, boot, workspace),
        }
    }

    pub(super) fn begin(&mut self, vm: usize, boot: u64, command: Command) {
        let id = command.workspace.clone();
        match &command.action {
            Action::PrepareWorkspace { .. } => {
                if let Some(machine) = self.vms.get_mut(vm) {
                    let fresh = Workspace {
                        attempt: command.attempt,
                        ..Workspace::default()
                    };
                    machine.disk.workspaces.entry(id.clone()).or_insert(fresh);
                }
                self.emit(
                    vm,
                    &id,
                    command.attempt,
                    Event::WorkspacePhase {
                        phase: "cloning".to_owned(),
                    },
                );
                let slow = if self.breaks(3) { 1_200_000 } else { 1_000 };
                let span = self.random.span(slow, slow + 20_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Prepared(command),
                    },
                );
            }
            Action::StartAgent { agent_session, .. } => {
                let slow = if self.breaks(3) { 400_000 } else { 500 };
                let agent_session = agent_session.clone();
                if let Some(held) = self
                    .vms
                    .get_mut(vm)
                    .and_then(|vm| vm.disk.workspaces.get_mut(&id))
                {
                    held.agent = Some(agent_session.clone());
                } else {
                    let event = Self::failed(&command.id, "workspace_gone");
                    self.finish(vm, &command, vec![event]);
                    return;
                }
                self.emit(
                    vm,
                    &id,
                    command.attempt,
                    Event::AgentState {
                        agent_session,
                        state: AgentState::Starting,
                    },
                );
                let span = self.random.span(slow, slow + 5_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::AgentUp(command),
                    },
                );
            }
            Action::Prompt {
                agent_session,
                prompt,
                ..
            } => {
                let alive = self
                    .vms
                    .get(vm)
                    .and_then(|vm| vm.processes.get(&id))
                    .is_some_and(|process| {
                        process.session == *agent_session && process.work.is_none()
                    });
                if !alive {
                    let event = Self::failed(&command.id, "agent_gone");
                    self.finish(vm, &command, vec![event]);
                    return;
                }
                let prompt = prompt.clone();
                let rows = 1 + self.random.below(6);
                self.ledger.begun(&prompt);
                if let Some(machine) = self.vms.get_mut(vm) {
                    if let Some(process) = machine.processes.get_mut(&id) {
                        process.work = Some((prompt.clone(), rows));
                    }
                    if let Some(held) = machine.disk.workspaces.get_mut(&id) {
                        held.prompt = Some(prompt.clone());
                    }
                }
                self.finish(
                    vm,
                    &command,
                    vec![Event::PromptStarted {
                        prompt: prompt.clone(),
                    }],
                );
                let span = self.random.span(100, 5_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Work(id, prompt),
                    },
                );
            }
            Action::CancelPrompt { prompt } => {
                let prompt = prompt.clone();
                self.end_turn(vm, &id, &prompt, StopReason::Cancelled);
                self.finish(vm, &command, Vec::new());
            }
            Action::StopAgent | Action::DeleteWorkspace => {
                let now = self.now;
                let working = self
                    .vms
                    .get(vm)
                    .and_then(|vm| vm.disk.workspaces.get(&id))
                    .and_then(|w| w.prompt.clone());
                if let Some(prompt) = working {
                    self.end_turn(vm, &id, &prompt, StopReason::Cancelled);
                }
                let buried = self
                    .vms
                    .get_mut(vm)
                    .map(|vm| vm.bury(&id, now, "was stopped"))
                    .unwrap_or_default();
                for draft in buried {
                    self.emit_with_disk(vm, draft);
                }
                let delete = matches!(command.action, Action::DeleteWorkspace);
                self.finish(vm, &command, Vec::new());
                if delete && let Some(machine) = self.vms.get_mut(vm) {
                    machine.disk.workspaces.remove(&id);
                }
            }
            Action::FinishGit { .. } => {
                let span = self.random.span(200, 10_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Committed(command),
                    },
                );
            }
        }
    }

    pub(super) fn agent_up(&mut self, vm: usize, command: &Command) {
        let Action::StartAgent { agent_session, .. } = &command.action else {
            return;
        };
        let id = command.workspace.clone();
        let wanted = self
            .vms
            .get(vm)
            .and_then(|vm| vm.disk.workspaces.get(&id))
            .is_some_and(|held| held.agent.as_ref() == Some(agent_session));
        if !wanted {
            self.finish(vm, command, vec![Self::failed(&command.id, "stopped")]);
            return;
        }
        if self.breaks(5) {
            if let Some(held) = self
                .vms
                .get_mut(vm)
                .and_then(|vm| vm.disk.workspaces.get_mut(&id))
            {
                held.agent = None;
            }
            self.finish(
                vm,
                command,
                vec![Self::failed(&command.id, "agent_not_installed")],
            );
            return;
        }
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.processes.insert(
                id,
                Process {
                    session: agent_session.clone(),
                    work: None,
                },
            );
        }
        let ready = Event::AgentState {
            agent_session: agent_session.clone(),
            state: AgentState::Ready,
        };
        self.finish(vm, command, vec![ready]);
    }

    pub(super) fn work(&mut self, vm: usize, boot: u64, id: WorkspaceId, prompt: PromptId) {
        if self.breaks(4) {
            // The coding agent dies in mid-work.
            let now = self.now;
            self.ledger.counts.agents_killed += 1;
            let drafts = self
                .vms
                .get_mut(vm)
                .map(|vm| vm.bury(&id, now, "was killed"))
                .unwrap_or_default();
            for draft in drafts {
                self.emit_with_disk(vm, draft);
            }
            return;
        }
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let (Some(process), Some(held)) = (
            machine.processes.get_mut(&id),
            machine.disk.workspaces.get_mut(&id),
        ) else {
            return;
        };
        let Some((working, left)) = process
            .work
            .as_mut()
            .filter(|(working, _)| *working == prompt)
        else {
            return;
        };
        let _ = working;
        held.next_n += 1;
        held.rows.push_back(held.next_n);
        *left -= 1;
        let over = *left == 0;
        self.after(
            Millis(50),
            Happening::Machine {
                vm,
                boot,
                step: VmStep::PostRows(id.clone()),
            },
        );
        if over {
            let reason = match self.random.below(20) {
                0 => StopReason::Error {
                    message: "model unreachable".to_owned(),
                    code: None,
                    hint: None,
                },
                1 => StopReason::MaxTokens,
                _ => StopReason::EndTurn,
            };
            self.end_turn(vm, &id, &prompt, reason);
        } else {
            let span = self.random.span(100, 60_000);
            self.after(
                span,
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::Work(id, prompt),
                },
            );
        }
    }

    /// The agent's turn is over: the report and the disk's memory of it go together.
    pub(super) fn end_turn(
        &mut self,
        vm: usize,
        id: &WorkspaceId,
        prompt: &PromptId,
        stop_reason: StopReason,
    ) {
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        if let Some(process) = machine.processes.get_mut(id) {
            process.work = None;
        }
        let Some(held) = machine.disk.workspaces.get_mut(id) else {
            return;
        };
        if held.prompt.as_ref() != Some(prompt) {
            return;
        }
        held.prompt = None;
        let (attempt, rows_through) = (held.attempt, held.next_n);
        self.ledger.written(id, rows_through);
        let draft = Draft {
            workspace: Some(id.clone()),
            attempt,
            at: self.now,
            event: Event::PromptFinished {
                prompt: prompt.clone(),
                stop_reason,
                rows_through,
            },
        };
        self.emit_with_disk(vm, draft);
    }

    /// An event that belongs to a change of the disk's own memory: one
    /// transaction, so the one is never lost apart from the other.
    pub(super) fn emit_with_disk(&mut self, vm: usize, draft: Draft) {
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let outcome = machine
            .agent
            .as_mut()
            .map(|agent| agent.emit(draft))
            .unwrap_or_default();
        for write in &outcome.write {
            machine.disk.link.apply(write);
        }
        self.vm_perform(
            vm,
            Outcome {
                write: Vec::new(),
                then: outcome.then,
            },
        );
    }
}
