//! What people do.

use super::*;

impl World {
    pub(super) fn person(&mut self) {
        let mut turn = self.turn();
        let known: Vec<_> = self.sessions.keys().cloned().collect();
        let picked = self.random.below(known.len() as u64) as usize;
        let act = if known.is_empty() {
            Act::Submit(sam_domain::task::TaskMode::Task)
        } else {
            Act::draw(&mut self.random, self.conditions.crowd)
        };
        let session = known.get(picked).cloned();
        let task = session
            .as_ref()
            .and_then(|session| self.sessions.get(session))
            .and_then(|actor| actor.state.task.as_ref())
            .map(|task| Address::Task(task.id.clone()));
        match (act, session, task) {
            (Act::Submit(mode), _, _) => {
                let session = SessionId::draw(&mut turn);
                let intent = TaskIntent {
                    task: TaskId::draw(&mut turn),
                    project: self.project.clone(),
                    session: session.clone(),
                    user: self.user.clone(),
                    pool: None,
                    created_at: self.now,
                    title: "work".to_owned(),
                    repository: "/repository".to_owned(),
                    base: None,
                    branch: "sam/work".to_owned(),
                    agent: "sam-harness".to_owned(),
                    mode,
                    permission_mode: Default::default(),
                    retry_of: None,
                };
                let address =
                    sam_domain::conversation::session::address(self.project.clone(), session);
                let prompt = PromptId::draw(&mut turn);
                let local = SessionLocal::Submit {
                    intent: Box::new(intent),
                    prompt: prompt.clone(),
                    row: RowId::draw(&mut turn),
                    text: "do it".to_owned(),
                    body: None,
                };
                self.session_local(&address, local);
                self.accept_prompt(&address, prompt);
            }
            (Act::Prompt, Some(address), _) => {
                let prompt = PromptId::draw(&mut turn);
                let local = SessionLocal::AddPrompt {
                    prompt: prompt.clone(),
                    row: RowId::draw(&mut turn),
                    by: self.user.clone(),
                    pool: None,
                    text: "and this".to_owned(),
                    body: None,
                };
                self.session_local(&address, local);
                self.accept_prompt(&address, prompt);
            }
            (Act::Edit, Some(address), _) => {
                if let Some(prompt) = self.queued_prompt(&address) {
                    let (text, body) = ("rather this".to_owned(), None);
                    self.session_local(&address, SessionLocal::EditPrompt { prompt, text, body });
                }
            }
            (Act::Remove, Some(address), _) => {
                if let Some(prompt) = self.queued_prompt(&address) {
                    self.session_local(&address, SessionLocal::RemovePrompt { prompt });
                }
            }
            (Act::CancelTurn, Some(address), _) => {
                self.session_local(&address, SessionLocal::CancelTurn);
            }
            (Act::CancelTask, _, Some(task)) => self.cancel_task(&task),
            (Act::Close, _, Some(task)) => {
                let by = self.user.clone();
                self.task_local(&task, TaskLocal::Close { by });
            }
            (Act::Rejoin, _, _) => self.rejoin(),
            (Act::Suspend, _, _) => self.suspend(),
            (Act::Drain, _, _) => self.drain_one(),
            _ => {}
        }
    }

    fn queued_prompt(&self, session: &Address) -> Option<PromptId> {
        let prompts = &self.sessions.get(session)?.state.prompts;
        let queued = prompts.iter().find(|p| p.state == PromptState::Queued);
        queued.map(|prompt| prompt.id.clone())
    }

    /// One of the machines.
    fn some_node(&mut self) -> Option<Address> {
        let at = self.random.next() as usize;
        let at = at.checked_rem(self.nodes.len())?;
        self.nodes.keys().nth(at).cloned()
    }

    /// A machine takes no more work for a while: one that is contested, if there is one.
    fn drain_one(&mut self) {
        let contested = self.nodes.iter().find_map(|(address, actor)| {
            let is = actor.state.state == sam_domain::node::wire::NodeState::Contested;
            is.then(|| address.clone())
        });
        if let Some(address) = contested.or_else(|| self.some_node()) {
            self.drain_for_a_while(&address);
        }
    }

    pub(super) fn drain_for_a_while(&mut self, address: &Address) {
        if self.node_local(address, NodeLocal::Drain { drains: true }) {
            let span = self.random.span(60_000, 3_600_000);
            self.after(span, Happening::Undrain(address.clone()));
        }
    }

    pub(super) fn undrain(&mut self, address: &Address) {
        let faults = std::mem::replace(&mut self.faults, false);
        self.node_local(address, NodeLocal::Drain { drains: false });
        self.faults = faults;
    }

    /// A machine's owner may not use the installation for a while.
    fn suspend(&mut self) {
        let Some(address) = self.some_node() else {
            return;
        };
        if self.node_local(&address, NodeLocal::Suspend { suspended: true }) {
            let span = self.random.span(60_000, 3_600_000);
            self.after(span, Happening::Pardon(address));
        }
    }

    pub(super) fn pardon(&mut self, address: &Address) {
        let faults = std::mem::replace(&mut self.faults, false);
        self.node_local(address, NodeLocal::Suspend { suspended: false });
        self.faults = faults;
    }

    /// A prompt counts as accepted once it is stored.
    fn accept_prompt(&mut self, address: &Address, prompt: PromptId) {
        let held = self.sessions.get(address);
        if held.is_some_and(|actor| actor.state.prompt(&prompt).is_some()) {
            self.ledger.outcome.accepted(prompt, address.clone());
        }
    }

    fn cancel_task(&mut self, task: &Address) {
        let open = self
            .tasks
            .get(task)
            .is_some_and(|actor| actor.state.intent.is_some() && !actor.state.state.is_terminal());
        let by = self.user.clone();
        if self.task_local(task, TaskLocal::Cancel { by }) && open {
            self.ledger.outcome.cancelled(task.clone());
        }
    }

    /// A contested machine is joined anew; its sockets are closed. It is the one that is there, or
    /// one that was refused and is started again.
    fn rejoin(&mut self) {
        let contested = self.nodes.iter().find_map(|(address, actor)| {
            let is = actor.state.state == sam_domain::node::wire::NodeState::Contested;
            let joined = actor.state.joined.clone().filter(|_| is)?;
            Some((address.clone(), joined))
        });
        if let Some((address, joined)) = contested {
            let local = NodeLocal::Join {
                node: joined.id,
                owner: joined.owner,
                name: joined.name,
                token_hmac: joined.token_hmac,
            };
            let refused = self
                .vms
                .iter()
                .position(|vm| vm.retired && Address::Node(vm.node.clone()) == address);
            if self.node_local(&address, local)
                && let Some(refused) = refused
                && self.random.chance(60)
                && let Some(machine) = self.vms.get_mut(refused)
            {
                machine.retired = false;
                self.after(Millis(10_000), Happening::Restart(refused));
            }
        }
    }
}
