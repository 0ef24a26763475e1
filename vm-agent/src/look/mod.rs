//! Answers to questions about this machine and its workspaces.
//!
//! Model: a question comes over the link, is answered from what is there at that moment, and is
//! forgotten; nothing is written. A few are answered at a time, so that whoever asks much does not
//! hold up the work.
//!
//! Nobody is shown more than the workspace they ask about: paths stay below its checkout
//! ([`files`]), ports are those of its own processes ([`ports`]).

mod diagnostics;
mod files;
mod ports;

use crate::machine::Machine;
use crate::secret::redact;
use sam_domain::link::question::{About, Answer, Question};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc};

/// Questions that are answered at the same time.
const AT_ONCE: usize = 4;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// It is not there.
    #[error("There is no such file or folder in the workspace.")]
    Missing,
    /// It is not to be shown, or cannot be.
    #[error("{0}")]
    Unreadable(String),
}

impl Refusal {
    fn status(&self) -> u16 {
        match self {
            Self::Missing => 404,
            Self::Unreadable(_) => 422,
        }
    }
}

/// Answers questions for as long as they come.
pub(crate) async fn answer_all(
    machine: Arc<Machine>,
    mut asked: mpsc::UnboundedReceiver<Question>,
) {
    let (room, started) = (Arc::new(Semaphore::new(AT_ONCE)), Instant::now());
    while let Some(question) = asked.recv().await {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let machine = Arc::clone(&machine);
        tokio::task::spawn_blocking(move || {
            let answer = answer(&machine, &question, started);
            machine.hub.answer(answer);
            drop(permit);
        });
    }
}

fn answer(machine: &Machine, question: &Question, started: Instant) -> Answer {
    let found = match (question.about, &question.workspace) {
        (About::Diagnostics, _) => {
            text(&diagnostics::take(machine, started)).map(|text| redact(&text))
        }
        (About::Files, Some(workspace)) => {
            let checkout = machine.layout(workspace).repo();
            files::view(&checkout, &question.path, question.offset).and_then(|view| text(&view))
        }
        (About::Ports, Some(workspace)) => text(&ports::open(machine.store.store_id(), workspace)),
        (About::Files | About::Ports, None) => Err(Refusal::Missing),
    };
    let (status, body) = match found {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status(), refusal.to_string()),
    };
    Answer {
        id: question.id.clone(),
        status,
        body,
    }
}

fn text(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| Refusal::Unreadable(error.to_string()))
}
