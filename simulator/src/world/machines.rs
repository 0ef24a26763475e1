//! Machines: what a vm-agent does with its commands.
//!
//! What a command does is modelled: it takes time and can fail. How commands
//! and events are kept and told is the real link's.

use super::*;
use sam_domain::conversation::wire::ActivityState;

impl World {
    pub(super) fn finish(&mut self, vm: usize, command: &Command, mut events: Vec<Event>) {
        if !events
            .iter()
            .any(|event| matches!(event, Event::CommandFailed { .. }))
        {
            events.push(Event::CommandDone {
                command: command.id.clone(),
            });
        }
        let at = self.vm_now(vm);
        let drafts = events
            .into_iter()
            .map(|event| Draft {
                workspace: Some(command.workspace.clone()),
                attempt: command.attempt,
                at,
                event,
            })
            .collect();
        if let Some(outcome) = self.agent(vm, "finish", |a| a.finish(&command.id, drafts)) {
            self.vm_perform(vm, "finish", outcome);
        }
    }

    pub(super) fn emit(&mut self, vm: usize, workspace: &WorkspaceId, attempt: u32, event: Event) {
        let draft = Draft {
            workspace: Some(workspace.clone()),
            attempt,
            at: self.vm_now(vm),
            event,
        };
        if let Some(outcome) = self.agent(vm, "emit", |agent| agent.emit(draft)) {
            self.vm_perform(vm, "emit", outcome);
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
            VmStep::Prepared(command) | VmStep::AgentUp(command) | VmStep::Committed(command)
                if !self.is_open(vm, &command) => {}
            VmStep::Prepared(command) => {
                let events = if self.breaks(self.conditions.failure) {
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
                let push_error = self
                    .breaks(self.conditions.failure)
                    .then(|| "refused".to_owned());
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
            VmStep::Deleted(command) => {
                self.finish(vm, &command, Vec::new());
                if let Some(machine) = self.vms.get_mut(vm) {
                    machine.disk.workspaces.remove(&command.workspace);
                }
            }
            VmStep::PostRows(workspace) => self.post_rows(vm, boot, workspace),
        }
    }

    /// Whether this takes longer than it may.
    fn drags(&mut self) -> bool {
        self.breaks(3) || (self.conditions.slow && self.random.chance(70))
    }

    fn is_open(&self, vm: usize, command: &Command) -> bool {
        let agent = self.vms.get(vm).and_then(|vm| vm.agent.as_ref());
        agent.is_some_and(|agent| agent.open_commands().any(|open| open.id == command.id))
    }

    /// Ends what waits for an agent, or (`all`) everything, before the stop itself is done.
    fn drop_waiting(&mut self, vm: usize, stop: &Command, all: bool) {
        let open: Vec<Command> = self
            .vms
            .get(vm)
            .and_then(|vm| vm.agent.as_ref())
            .into_iter()
            .flat_map(AgentEnd::open_commands)
            .filter(|open| open.workspace == stop.workspace && open.id != stop.id)
            .cloned()
            .collect();
        for command in open {
            let waits = matches!(
                command.action,
                Action::StartAgent { .. } | Action::Prompt { .. }
            );
            if waits || all {
                let event = Self::failed(&command.id, "stopped");
                self.finish(vm, &command, vec![event]);
            }
        }
    }

    pub(super) fn begin(&mut self, vm: usize, boot: u64, command: Command) {
        let id = command.workspace.clone();
        if !self.is_open(vm, &command) {
            return;
        }
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
                let slow = if self.drags() { 1_200_000 } else { 1_000 };
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
                let slow = if self.drags() { 400_000 } else { 500 };
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
                let mute = self.conditions.mute && self.random.chance(70);
                let alive = !mute
                    && self
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
                self.ledger.dispatch.begun(&prompt);
                if let Some(machine) = self.vms.get_mut(vm) {
                    if let Some(process) = machine.processes.get_mut(&id) {
                        process.work = Some((prompt.clone(), rows));
                    }
                    if let Some(held) = machine.disk.workspaces.get_mut(&id) {
                        held.prompt = Some(prompt.clone());
                    }
                }
                let started = Event::PromptStarted {
                    prompt: prompt.clone(),
                };
                let works = Event::AgentState {
                    agent_session: agent_session.clone(),
                    state: AgentState::Activity {
                        state: ActivityState::Prompting,
                    },
                };
                self.finish(vm, &command, vec![started, works]);
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
            Action::AnswerPermission { .. } => self.finish(vm, &command, Vec::new()),
            Action::StopAgent | Action::DeleteWorkspace => {
                let delete = matches!(command.action, Action::DeleteWorkspace);
                self.drop_waiting(vm, &command, delete);
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
                self.emit_with_disk(vm, buried);
                if delete {
                    let span = Millis(200 + self.random.below(30_000));
                    let step = VmStep::Deleted(command);
                    self.after(span, Happening::Machine { vm, boot, step });
                } else {
                    self.finish(vm, &command, Vec::new());
                }
            }
            Action::FinishGit { .. } => {
                let slow = if self.drags() { 1_200_000 } else { 200 };
                let span = self.random.span(slow, slow + 10_000);
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
        if self.breaks(self.conditions.failure) {
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
        if self.breaks(self.conditions.failure) {
            // The coding agent dies in mid-work.
            let now = self.now;
            self.ledger.counts.agents_killed += 1;
            let drafts = self
                .vms
                .get_mut(vm)
                .map(|vm| vm.bury(&id, now, "was killed"))
                .unwrap_or_default();
            self.emit_with_disk(vm, drafts);
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
        // Some arrive only when their prompt's end is long known.
        let slow = if self.drags() { 70_000 } else { 50 };
        self.after(
            Millis(slow),
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
                2 => StopReason::NeedsInput {
                    question: "which of them?".to_owned(),
                },
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
        let agent = held.agent.clone();
        self.ledger.rows.written(id, rows_through);
        let at = self.vm_now(vm);
        let draft = |event| Draft {
            workspace: Some(id.clone()),
            attempt,
            at,
            event,
        };
        let finished = draft(Event::PromptFinished {
            prompt: prompt.clone(),
            stop_reason,
            rows_through,
        });
        let rests = agent.map(|agent_session| {
            let state = AgentState::Activity {
                state: ActivityState::Idle,
            };
            draft(Event::AgentState {
                agent_session,
                state,
            })
        });
        let drafts = [Some(finished), rests].into_iter().flatten().collect();
        self.emit_with_disk(vm, drafts);
    }

    /// Events that belong to a change of the disk's own memory: one transaction, so the one is never
    /// lost apart from the other.
    pub(super) fn emit_with_disk(&mut self, vm: usize, drafts: Vec<Draft>) {
        let mut then = Vec::new();
        for draft in drafts {
            let Some(outcome) = self.agent(vm, "emit", |agent| agent.emit(draft)) else {
                return;
            };
            self.write(vm, "emit", &outcome.write);
            then.extend(outcome.then);
        }
        let outcome = Outcome {
            write: Vec::new(),
            then,
        };
        self.vm_perform(vm, "emit", outcome);
    }
}
