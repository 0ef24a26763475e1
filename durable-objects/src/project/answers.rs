//! Answers to what agents ask.
//!
//! Invariant: of many answers to one question the first counts. The conversation's machine keeps
//! it in the turn that stores its row; every other one is refused with what counted.

use sam_domain::conversation::row::{PermissionState, RowBody};
use sam_domain::conversation::session::{Answer, SessionLocal, SessionMachine};
use sam_domain::conversation::wire::{AnswerAccepted, AnswerPermission};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, RowId, SessionId, UserId};

use super::{Project, rows};
use crate::object;
use crate::shell::ShellError;

impl Project {
    pub(super) fn answer_permission(
        &self,
        session: &SessionId,
        permission: &RowId,
        by: UserId,
        request: AnswerPermission,
    ) -> Result<String, ShellError> {
        let project = self.project()?;
        let Some(RowBody::Permission(asked)) = rows::said(&self.shell.sql, session, permission)?
        else {
            return Err(ApiError::not_found("question").into());
        };
        let mut ids = self.shell.begin()?;
        let row = RowId::draw(&mut ids);
        self.work(&project, session, |actor, turn, work| {
            if let Some(held) = actor.state.answer_to(permission) {
                // The same answer of the same person is the same request, repeated.
                if held.by == by && held.option == request.option {
                    return Ok((false, object::text(&accepted(held))?));
                }
                return Err(already_answered().into());
            }
            if asked.state != PermissionState::Open {
                return Err(closed(asked.state).into());
            }
            let choice = asked
                .choices
                .iter()
                .find(|choice| choice.id == request.option)
                .ok_or_else(unknown_choice)?;
            let answer = Answer {
                permission: permission.clone(),
                row,
                option: request.option,
                by,
            };
            let reply = object::text(&accepted(&answer))?;
            let local = SessionLocal::AnswerPermission {
                answer,
                label: choice.label.clone(),
            };
            let handled = actor.local::<SessionMachine>(turn, local);
            let changed = work.perform(actor, turn, handled)?;
            Ok((changed, reply))
        })
    }
}

fn accepted(answer: &Answer) -> AnswerAccepted {
    AnswerAccepted {
        permission: answer.permission.clone(),
        row: answer.row.clone(),
        option: answer.option.clone(),
    }
}

fn already_answered() -> ApiError {
    ApiError::conflict("already_answered", "Another answer came first, and counts.")
        .hint("Read the conversation to see which.")
}

fn closed(state: PermissionState) -> ApiError {
    ApiError::conflict(
        "permission_closed",
        format!(
            "The agent does not wait for this any more: it is {}.",
            state.word()
        ),
    )
}

fn unknown_choice() -> ApiError {
    ApiError::new(422, "unknown_choice", "The agent offers no such answer.")
        .hint("`option` is the id of one of the row's choices.")
}
