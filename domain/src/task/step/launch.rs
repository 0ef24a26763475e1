//! From a submitted task to a running agent: placing, preparing, starting.

use super::*;

impl Step<'_> {
    pub(super) fn submitted(&mut self, intent: TaskIntent) {
        if self.task.intent.is_some() {
            return;
        }
        self.task.since = intent.created_at;
        self.task.branch = Some(intent.branch.clone());
        self.task.intent = Some(intent);
        self.place();
    }

    pub(super) fn place(&mut self) {
        let Some(intent) = self.task.intent.as_ref() else {
            return;
        };
        let agent = intent.agent.clone();
        let origin = Some(Origin {
            user: intent.user.clone(),
            project: intent.project.clone(),
        });
        self.leave_attempt();
        self.task.attempt += 1;
        self.enter(TaskState::Placing, Some(PLACING_LIMIT));
        self.begin(StepName::Placing);
        self.tell_pool(Message::PlaceRequested {
            attempt: self.task.attempt,
            agent,
            origin,
        });
    }

    /// Fences off the current attempt and gives its place back.
    pub(super) fn leave_attempt(&mut self) {
        if self.task.attempt == 0 {
            return;
        }
        if let Some(node) = self.task.node.take() {
            self.send.push((
                Address::Node(node),
                Message::Fenced {
                    below: self.task.attempt + 1,
                },
            ));
        }
        self.tell_pool(Message::Released {
            attempt: self.task.attempt,
        });
        self.task.workspace = None;
        self.task.idle_until = None;
        if self.task.agent != AgentBinding::None {
            self.task.agent = AgentBinding::None;
            self.task.reported = Some(ActivityState::Ended);
        }
        self.task.awaited.clear();
        self.task.away_since = None;
        self.task.rows_mark = None;
    }

    pub(super) fn prepare(&mut self) {
        let Some(intent) = self.task.intent.clone() else {
            return;
        };
        let workspace = WorkspaceId::draw(self.turn);
        self.task.workspace = Some(workspace.clone());
        self.enter(TaskState::Preparing, Some(PREPARING_LIMIT));
        self.begin(StepName::Preparing);
        self.tell_session(Message::WorkspaceBound {
            workspace,
            attempt: self.task.attempt,
        });
        let action = Action::PrepareWorkspace {
            session: intent.session,
            task: intent.task,
            repository: intent.repository,
            base: intent.base,
            branch: intent.branch,
            agent: Some(intent.agent),
        };
        self.command(action, PREPARING_LIMIT, Some(Awaited::Prepare));
    }

    pub(super) fn start_agent(&mut self) {
        let Some(intent) = self.task.intent.as_ref() else {
            return;
        };
        let (agent, permission_mode) = (intent.agent.clone(), intent.permission_mode);
        let agent_session = AgentSessionId::draw(self.turn);
        self.task.agent = AgentBinding::Starting {
            agent_session: agent_session.clone(),
        };
        self.task.agent_is_fresh = true;
        self.enter(TaskState::Starting, Some(STARTING_LIMIT));
        self.begin(StepName::Starting);
        self.command(
            Action::StartAgent {
                agent_session,
                agent,
                model: None,
                permission_mode,
            },
            STARTING_LIMIT,
            Some(Awaited::Start),
        );
    }
}
