//! The record of one model call, kept however the call ends.

use std::time::Duration;

use sam_dialects::Usage;
use sam_domain::access::claims::Claims;
use sam_domain::conversation::call::{Done, ModelCall, ProjectCall};
use sam_domain::id::ProjectId;
use sam_platform::background::Background;
use sam_platform::objects;
use worker::Env;

use crate::call::Call;
use crate::errors::log;

/// How often keeping a record is tried.
const TRIES: u32 = 4;
/// How long to wait before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A record that is kept when it is dropped, so that no way out of a call can forget it.
pub(super) struct Record {
    env: Env,
    background: Background,
    project: ProjectId,
    /// Absent once it is on its way.
    call: Option<ModelCall>,
}

impl Record {
    /// The record of a call that is about to be made.
    pub(super) fn begin(call: &Call, claims: &Claims, model: &str) -> Self {
        Self {
            env: call.env.clone(),
            background: call.background.clone(),
            project: claims.prj.clone(),
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
                complete: false,
            }),
        }
    }

    /// The upstream answered with this status.
    pub(super) fn answered(&mut self, status: u16) {
        if let Some(call) = &mut self.call {
            call.status = status;
        }
    }

    /// What the upstream reported, and whether its reply ended as it should.
    pub(super) fn ended(&mut self, usage: Option<Usage>, complete: bool) {
        if let Some(call) = &mut self.call {
            call.input_tokens = usage.map(|usage| usage.input);
            call.output_tokens = usage.map(|usage| usage.output);
            call.complete = complete;
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let work = keep(self.env.clone(), self.project.clone(), call);
            self.background.run(work);
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
