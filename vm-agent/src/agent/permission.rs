//! What an agent asks before it goes on, and who answers.
//!
//! Model: a question is a row of the conversation. It stays open until a
//! person's answer arrives, its time is up, or the agent waits no more; each of
//! these closes the row with what counted. Whoever answers first is decided by
//! the control plane; here the first of answer and deadline counts.
//!
//! Invariants:
//! - In mode `full` a plain yes is given unasked: the workspace is the boundary.
//!   In every other mode, and where no plain yes is offered, a person is asked.
//! - What nobody answers is refused.
//! - No row says that the agent waits when it does not.

use super::session::Session;
use crate::clock;
use crate::log::info;
use crate::rows::compact_json;
use crate::secret::redact;
use crate::store::RowVersion;
use sam_acp::{
    PermissionOptionKind, PermissionOutcome, PermissionRequest, PermissionResponder, ToolCall,
};
use sam_domain::agents::PermissionMode;
use sam_domain::conversation::row::{
    Author, ChoiceKind, PermissionBody, PermissionChoice, PermissionState, RowBody, truncate,
};
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::{CommandId, Id as _, RowId};
use sam_domain::time::Millis;
use std::time::Duration;
use tokio::time::Instant;

const TITLE_LIMIT: usize = 500;
const LABEL_LIMIT: usize = 200;
/// Most answers that are shown; agents offer two to five.
const CHOICES_LIMIT: usize = 20;

/// A question that waits.
pub(super) struct Asked {
    row: RowVersion,
    body: PermissionBody,
    responder: PermissionResponder,
    until: Instant,
}

impl Asked {
    /// With what the agent said of the call before, where the question says nothing of it.
    fn new(request: PermissionRequest, announced: Option<&ToolCall>, wait: Duration) -> Self {
        let mut call = request.tool_call;
        if let Some(known) = announced {
            call.title.get_or_insert_with(|| known.title.clone());
            call.kind.get_or_insert(known.kind);
            call.name = call.name.or_else(|| known.name.clone());
            call.raw_input = call.raw_input.or_else(|| known.raw_input.clone());
        }
        let (title, _) = truncate(
            call.title
                .as_deref()
                .unwrap_or("something it does not name"),
            TITLE_LIMIT,
        );
        let body = PermissionBody {
            title: redact(title),
            name: call.name.unwrap_or_default(),
            tool: call.kind.map(crate::rows::tool_kind).unwrap_or_default(),
            arguments: redact(
                &call
                    .raw_input
                    .as_ref()
                    .map(compact_json)
                    .unwrap_or_default(),
            ),
            default: refusal(&request.options),
            choices: request
                .options
                .into_iter()
                .take(CHOICES_LIMIT)
                .map(|option| PermissionChoice {
                    label: redact(truncate(&option.name, LABEL_LIMIT).0),
                    id: option.id,
                    means: means(option.kind),
                })
                .collect(),
            wait: Millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            state: PermissionState::Open,
            chosen: None,
        };
        let mut turn = clock::turn();
        let row = RowVersion {
            id: RowId::draw(&mut turn),
            rev: 1,
            author: Author::Agent,
            created_at: turn.now,
            body: RowBody::Permission(Box::new(body.clone())),
            open: true,
            bodies: Vec::new(),
        };
        Self {
            row,
            body,
            responder: request.responder,
            until: Instant::now() + wait,
        }
    }

    /// Answers, and returns the row as it is from now on. Without a state, or when the agent waits
    /// no more, the question is withdrawn.
    fn close(self, state: Option<PermissionState>, option: Option<String>) -> RowVersion {
        let answered = match (state, option) {
            (Some(state), option) => self
                .responder
                .respond(&outcome(option.clone()))
                .then_some((state, option)),
            // Dropped, it is answered as cancelled.
            (None, _) => None,
        };
        let (state, chosen) = answered.unwrap_or((PermissionState::Withdrawn, None));
        RowVersion {
            rev: self.row.rev + 1,
            body: RowBody::Permission(Box::new(PermissionBody {
                state,
                chosen,
                ..self.body
            })),
            open: false,
            ..self.row
        }
    }
}

fn means(kind: PermissionOptionKind) -> ChoiceKind {
    match kind {
        PermissionOptionKind::AllowOnce => ChoiceKind::AllowOnce,
        PermissionOptionKind::AllowAlways => ChoiceKind::AllowAlways,
        PermissionOptionKind::RejectOnce => ChoiceKind::RejectOnce,
        PermissionOptionKind::RejectAlways => ChoiceKind::RejectAlways,
        PermissionOptionKind::Other => ChoiceKind::Other,
    }
}

fn first_of(
    options: &[sam_acp::PermissionOption],
    kinds: [PermissionOptionKind; 2],
) -> Option<String> {
    let of = |kind| options.iter().find(|option| option.kind == kind);
    let [first, second] = kinds;
    of(first)
        .or_else(|| of(second))
        .map(|option| option.id.clone())
}

fn approval(options: &[sam_acp::PermissionOption]) -> Option<String> {
    use PermissionOptionKind::{AllowAlways, AllowOnce};
    first_of(options, [AllowOnce, AllowAlways])
}

fn refusal(options: &[sam_acp::PermissionOption]) -> Option<String> {
    use PermissionOptionKind::{RejectAlways, RejectOnce};
    first_of(options, [RejectOnce, RejectAlways])
}

fn outcome(option: Option<String>) -> PermissionOutcome {
    match option {
        Some(option) => PermissionOutcome::Selected { option },
        None => PermissionOutcome::Cancelled,
    }
}

impl Session {
    /// Takes in a question of the agent's.
    pub(super) async fn permission(&mut self, request: PermissionRequest) {
        let unasked = approval(&request.options)
            .filter(|_| self.start.permission_mode == PermissionMode::Full);
        if unasked.is_some() {
            request.responder.respond(&outcome(unasked));
            return;
        }
        let announced = self.writer.told_of(&request.tool_call.id);
        let asked = Asked::new(request, announced, self.machine.limits.permission_wait);
        info!("{} asks for permission", self.start.agent);
        self.writer.add(asked.row.clone());
        self.asked.push(asked);
        self.report_activity(ActivityState::WaitingForPerson).await;
    }

    /// When the next question's time is up.
    pub(super) fn question_due(&self) -> Option<Instant> {
        self.asked.iter().map(|asked| asked.until).min()
    }

    /// Answers what a person answered; what waits no more stays as it ended.
    pub(super) async fn answer(&mut self, command: CommandId, permission: &RowId, option: String) {
        let at = self
            .asked
            .iter()
            .position(|asked| asked.row.id == *permission);
        if let Some(at) = at {
            let asked = self.asked.remove(at);
            self.close_question(asked, PermissionState::Answered, Some(option))
                .await;
        }
        self.done(&command, Vec::new()).await;
    }

    /// Gives every question whose time is up its default.
    pub(super) async fn expire_questions(&mut self) {
        let now = Instant::now();
        let (over, open) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|asked| asked.until <= now);
        self.asked = open;
        for asked in over {
            let default = asked.body.default.clone();
            self.close_question(asked, PermissionState::Expired, default)
                .await;
        }
    }

    async fn close_question(
        &mut self,
        asked: Asked,
        state: PermissionState,
        option: Option<String>,
    ) {
        let row = asked.close(Some(state), option);
        self.writer.add(row);
        if self.asked.is_empty() && self.turn.is_some() {
            self.report_activity(ActivityState::Prompting).await;
        }
    }

    /// The agent waits no more: its turn is over, or was stopped.
    pub(super) fn withdraw_questions(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            self.writer.add(asked.close(None, None));
        }
    }
}
