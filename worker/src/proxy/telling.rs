//! Telling a task what befalls its model calls.
//!
//! An agent that is refused until a limit resets waits, and asks again by itself; the proxy is where
//! the reset is seen for every agent alike. The task says so to the person, and goes on if the agent
//! is lost meanwhile. A budget that comes near a limit is told once, in the conversation whose call
//! met it.

use sam_domain::access::claims::Claims;
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::refusal::HolderKind;
use sam_domain::id::TaskId;
use sam_domain::task::TaskView;
use sam_domain::task::call::TaskCall;
use sam_domain::time::{Millis, Timestamp};
use sam_platform::fetch::Incoming;
use sam_platform::objects;

use crate::call::Call;
use crate::errors::log;

/// Waits shorter than this are nobody's news.
const LEAST: Millis = Millis::seconds(10);

/// What an upstream's refusal says of when to come back.
pub(super) fn of_refusal(call: &Call, claims: &Claims, incoming: &Incoming) {
    if !matches!(incoming.status, 429 | 503 | 529) {
        return;
    }
    let headers = incoming.headers();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    if let Some(at) = sam_dialects::retry_at(header, call.now.0) {
        until(call, claims, Timestamp(at));
    }
}

/// The task's agent has to wait until then.
pub(super) fn until(call: &Call, claims: &Claims, at: Timestamp) {
    if at.since(call.now) < LEAST {
        return;
    }
    let waits = TaskCall::ModelWaits {
        attempt: claims.attempt,
        until: at,
    };
    tell(call, &claims.tsk, waits);
}

/// A budget that the task's calls are counted in has come near a limit.
pub(super) fn near(call: &Call, task: &TaskId, holder: HolderKind, warning: Warning) {
    tell(call, task, TaskCall::BudgetNear { holder, warning });
}

fn tell(call: &Call, task: &TaskId, what: TaskCall) {
    let (env, task) = (call.env.clone(), task.clone());
    call.background.run(async move {
        let told = match objects::task(&env, &task) {
            Ok(object) => object.call::<TaskView>(&what).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            log(&format!("a task was not told of its model calls: {error}"));
        }
    });
}
