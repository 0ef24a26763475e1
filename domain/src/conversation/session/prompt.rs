//! A prompt as its conversation keeps it: how it begins, how it shows, how it ends.

use super::SessionOutput;
use super::state::Prompt;
use crate::conversation::attachment::PromptBody;
use crate::conversation::row::{Author, BodyRef, RowBody, TextBody};
use crate::conversation::wire::PromptState;
use crate::id::{PromptId, RowId, UserId};
use crate::link::frame::StopReason;
use crate::time::Timestamp;

impl Prompt {
    pub(super) fn queued(
        id: PromptId,
        row: RowId,
        by: UserId,
        pool: Option<UserId>,
        (text, body): (String, Option<PromptBody>),
    ) -> Self {
        Self {
            id,
            row,
            text,
            body,
            by,
            pool,
            at: Timestamp::default(),
            edits: 0,
            automatic: false,
            state: PromptState::Queued,
            stop_reason: None,
        }
    }

    /// The row that shows its words, as they are since `now`.
    pub(super) fn row(&self, now: Timestamp) -> SessionOutput {
        let body = TextBody {
            text: self.text.clone(),
            ended_at: Some(now),
            body_ref: self.body.as_ref().and_then(|body| {
                (body.bytes > self.text.len() as u64).then(|| BodyRef {
                    sha256: body.sha256.clone(),
                    bytes: body.bytes,
                })
            }),
            attachments: self
                .body
                .as_ref()
                .map_or_else(Vec::new, |body| body.attachments.clone()),
            prompt: Some(self.id.clone()),
            by: Some(self.by.clone()).filter(|_| !self.automatic),
            ..TextBody::default()
        };
        SessionOutput::PutRow {
            id: self.row.clone(),
            rev: 1 + self.edits,
            author: if self.automatic {
                Author::System
            } else {
                Author::Person
            },
            at: self.at,
            body: RowBody::Text(body),
        }
    }

    pub(super) fn end(&mut self, stop_reason: &StopReason) {
        self.state = match stop_reason {
            StopReason::Cancelled | StopReason::NeverRan { .. } => PromptState::Cancelled,
            StopReason::Unknown { .. } => PromptState::Unknown,
            StopReason::EndTurn
            | StopReason::MaxTokens
            | StopReason::MaxTurnRequests
            | StopReason::Refusal
            | StopReason::NeedsInput { .. }
            | StopReason::Error { .. } => PromptState::Finished,
        };
        self.stop_reason = Some(stop_reason.word().to_owned());
        self.text = String::new();
    }
}
