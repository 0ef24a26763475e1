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
            Act::draw(&mut self.random)
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
                };
                let address = Address::Session {
                    project: self.project.clone(),
                    session,
                };
                let prompt = PromptId::draw(&mut turn);
                let local = SessionLocal::Submit {
                    intent: Box::new(intent),
                    prompt: prompt.clone(),
                    row: RowId::draw(&mut turn),
                    text: "do it".to_owned(),
                    body: None,
                };
                self.session_local(&address, local);
                self.ledger
                    .accepted_if_stored(&self.sessions, &address, prompt);
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
                self.ledger
                    .accepted_if_stored(&self.sessions, &address, prompt);
            }
            (Act::Remove, Some(address), _) => {
                let queued = self.sessions.get(&address).and_then(|actor| {
                    actor
                        .state
                        .prompts
                        .iter()
                        .find(|p| p.state == PromptState::Queued)
                        .map(|p| p.id.clone())
                });
                if let Some(prompt) = queued {
                    self.session_local(&address, SessionLocal::RemovePrompt { prompt });
                }
            }
            (Act::CancelTurn, Some(address), _) => {
                self.session_local(&address, SessionLocal::CancelTurn);
            }
            (Act::CancelTask, _, Some(task)) => self.task_local(
                &task,
                TaskLocal::Cancel {
                    by: self.user.clone(),
                },
            ),
            (Act::Close, _, Some(task)) => self.task_local(
                &task,
                TaskLocal::Close {
                    by: self.user.clone(),
                },
            ),
            _ => {}
        }
    }
}
