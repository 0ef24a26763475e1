//! Asking the objects that own the facts.
//!
//! Submitting answers before the task's own object has heard of it, so for a moment an indexed task
//! has no object yet. [`task`] waits that moment out.

use std::time::Duration;

use sam_domain::conversation::call::ProjectCall;
use sam_domain::error::ApiError;
use sam_domain::id::{NodeId, ProjectId, TaskId};
use sam_domain::link::question::Question;
use sam_domain::node::call::NodeCall;
use sam_domain::task::TaskView;
use sam_domain::task::call::TaskCall;
use sam_platform::objects::{self, CallError, Object};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::errors::{Answer, Failed, log};

/// How often an indexed task without an object is asked again.
const TASK_PATIENCE: u32 = 20;
/// How long to wait between two askings.
const TASK_PAUSE: Duration = Duration::from_millis(50);

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        if let CallError::Unavailable(cause) = &error {
            log(&cause.to_string());
        }
        ApiError::from(error).into()
    }
}

/// Asks a project's object.
pub(crate) async fn project<R: DeserializeOwned>(
    call: &Call,
    id: &ProjectId,
    ask: &ProjectCall,
) -> Result<R, Failed> {
    Ok(objects::project(&call.env, id)?.call(ask).await?)
}

/// Asks a project's object for what the client gets, and hands it on.
pub(crate) async fn relay(call: &Call, id: &ProjectId, ask: &ProjectCall) -> Answer {
    Ok(objects::project(&call.env, id)?.relay(ask).await?)
}

/// Asks the object of a task that is known to exist.
pub(crate) async fn task(call: &Call, id: &TaskId, ask: &TaskCall) -> Result<TaskView, Failed> {
    let object = objects::task(&call.env, id)?;
    let mut asked = 1;
    loop {
        match object.call(ask).await {
            Err(CallError::Refused(error)) if error.status == 404 && asked < TASK_PATIENCE => {
                asked += 1;
                worker::Delay::from(TASK_PAUSE).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// Asks a node's object.
pub(crate) async fn node<R: DeserializeOwned>(
    call: &Call,
    id: &NodeId,
    ask: &NodeCall,
) -> Result<R, Failed> {
    Ok(objects::node(&call.env, id)?.call(ask).await?)
}

/// Asks a machine, and hands its answer on.
pub(crate) async fn ask(call: &Call, id: &NodeId, question: Question) -> Answer {
    let object = objects::node(&call.env, id)?;
    Ok(object.relay(&NodeCall::Ask(question)).await?)
}

/// Hands a WebSocket on to an object, with what its sender may do.
pub(crate) async fn upgrade(
    call: &Call,
    object: &Object,
    url: &str,
    access: &impl Serialize,
) -> Answer {
    if !call.is_upgrade() {
        return Err(ApiError::new(
            426,
            "upgrade_required",
            "This route is a WebSocket; the request asks for none.",
        )
        .into());
    }
    Ok(object
        .forward_upgrade(&call.request, url, access)
        .await?
        .into())
}
