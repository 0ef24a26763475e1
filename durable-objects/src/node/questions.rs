//! Questions that wait for the machine's answer.
//!
//! Held in memory alone: an object that is evicted forgets who waits, whose request ends with it.

use std::cell::RefCell;
use std::time::Duration;

use futures::channel::oneshot;
use sam_domain::error::ApiError;
use sam_domain::link::frame::ObjectFrame;
use sam_domain::link::question::{Answer, PATIENCE, Question};
use sam_platform::fetch::within;
use sam_platform::probe::Outside;

use super::{Lifecycle, tag};
use crate::shell::ShellError;

/// Whoever waits for an answer.
#[derive(Default)]
pub(super) struct Questions(RefCell<Vec<(String, oneshot::Sender<Answer>)>>);

impl Questions {
    /// Hands an answer to whoever waits for it; one that nobody waits for is dropped.
    pub(super) fn answered(&self, answer: Answer) {
        if let Some(tell) = self.take(&answer.id.to_string()) {
            let _ = tell.send(answer);
        }
    }

    fn take(&self, id: &str) -> Option<oneshot::Sender<Answer>> {
        let mut waiting = self.0.borrow_mut();
        let at = waiting.iter().position(|(held, _)| held == id)?;
        Some(waiting.swap_remove(at).1)
    }
}

/// Asks the machine and waits for what it says.
pub(super) async fn ask(object: &Lifecycle, question: Question) -> Result<String, ShellError> {
    let state = object.stored()?.state;
    if let Some(workspace) = &question.workspace
        && state.scope(workspace).is_none()
    {
        return Err(ApiError::conflict(
            "workspace_gone",
            "The machine no longer has this workspace.",
        )
        .into());
    }
    let socket = state
        .link
        .connection
        .filter(|_| state.is_here())
        .and_then(|connection| object.sockets.tagged(&tag(connection)).ok()?.pop())
        .ok_or_else(away)?;
    if !state.facts.answers {
        return Err(ApiError::conflict(
            "machine_too_old",
            "The vm-agent there answers no questions.",
        )
        .hint("Update it.")
        .into());
    }
    let id = question.id.to_string();
    let (tell, told) = oneshot::channel();
    object.questions.0.borrow_mut().push((id.clone(), tell));
    if socket.send_json(&ObjectFrame::Ask(question)).is_err() {
        object.questions.take(&id);
        return Err(away().into());
    }
    let waiting = within(Duration::from_millis(PATIENCE.0), told);
    let answer = object.shell.probe.outside(Outside::Machine, waiting).await;
    let Some(Ok(answer)) = answer else {
        object.questions.take(&id);
        return Err(
            ApiError::new(504, "machine_silent", "The machine did not answer in time.")
                .hint("Try again.")
                .into(),
        );
    };
    match answer.status {
        200 => Ok(answer.body),
        404 => Err(ApiError::new(404, "not_found", answer.body).into()),
        _ => Err(ApiError::new(422, "not_readable", answer.body).into()),
    }
}

fn away() -> ApiError {
    ApiError::conflict(
        "machine_away",
        "The machine is away, so it cannot be asked.",
    )
    .hint("Its state is in `sam node list`.")
}
