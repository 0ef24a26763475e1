//! The record of one model call, kept however the call ends.

use std::time::Duration;

use futures::channel::oneshot::{self, Sender};
use sam_dialects::Usage;
use sam_domain::access::claims::Claims;
use sam_domain::conversation::call::{CallEnd, Done, ModelCall, ProjectCall};
use sam_domain::id::ProjectId;
use sam_platform::objects;
use worker::Env;

use crate::call::Call;
use crate::errors::log;

/// How often keeping a record is tried.
const TRIES: u32 = 4;
/// How long to wait before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A record that is kept when it is dropped, so that no way out of a call can forget it.
///
/// Whoever keeps it waits from the call's beginning. Once a client has left, the runtime gives time
/// only to what it was asked to wait for before.
pub(super) struct Record {
    /// Both are absent once the record is on its way.
    keeper: Option<Sender<ModelCall>>,
    call: Option<ModelCall>,
}

impl Record {
    /// The record of a call that is about to be made.
    pub(super) fn begin(call: &Call, claims: &Claims, model: &str) -> Self {
        let (keeper, ended) = oneshot::channel();
        let (env, project) = (call.env.clone(), claims.prj.clone());
        call.background.run(async move {
            if let Ok(record) = ended.await {
                keep(env, project, record).await;
            }
        });
        Self {
            keeper: Some(keeper),
            call: Some(ModelCall {
                request: call.id.clone(),
                session: claims.ses.clone(),
                task: claims.tsk.clone(),
                attempt: claims.attempt,
                at: call.now,
                model: model.to_owned(),
                status: 0,
                input_tokens: None,
                output_tokens: None,
                end: CallEnd::Unanswered,
            }),
        }
    }

    /// The upstream answered with this status.
    pub(super) fn answered(&mut self, status: u16) {
        if let Some(call) = &mut self.call {
            call.status = status;
        }
    }

    /// What the upstream reported, and how its reply ended. An error that was passed on whole is
    /// still an error.
    pub(super) fn ended(&mut self, usage: Option<Usage>, end: CallEnd) {
        if let Some(call) = &mut self.call {
            call.input_tokens = usage.map(|usage| usage.input);
            call.output_tokens = usage.map(|usage| usage.output);
            call.end = match end {
                CallEnd::Complete if call.status >= 400 => CallEnd::Refused,
                end => end,
            };
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let (Some(keeper), Some(call)) = (self.keeper.take(), self.call.take()) {
            // The keeper is gone only when the whole event is.
            let _ = keeper.send(call);
        }
    }
}

/// Hands the record to the project's object. Repeating it is harmless: it is known by its request.
async fn keep(env: Env, project: ProjectId, record: ModelCall) {
    let ask = ProjectCall::RecordModelCall { record };
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        let told = match objects::project(&env, &project) {
            Ok(object) => object.call::<Done>(&ask).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(Done {}) => return,
            Err(error) if attempt == TRIES => {
                log(&format!("the record of a model call was lost: {error}"));
            }
            Err(_) => {
                worker::Delay::from(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
    }
}
