//! What tests ask of any object, in a build that is never deployed.

use sam_domain::actor::Machine;
use sam_domain::error::ApiError;
use sam_domain::time::Timestamp;
use sam_platform::alarm::Alarm;
use sam_platform::columns;
use sam_platform::http;
use sam_platform::objects::{HOLD_TIME, HOLD_URL, LOOK_URL, TRAP_URL};
use serde::Serialize;
use serde_json::{Value, json};
use worker::{Request, Response};

use crate::object;
use crate::shell::{KeyRow, Shell, ShellError};

/// What a test asks.
pub(crate) enum Fault {
    /// To stay in flight for a while.
    Hold,
    /// To tell what is stored.
    Look,
}

/// Whether a request is a test's. It costs nothing and is no event.
pub(crate) fn is_one(request: &Request) -> bool {
    request.path().starts_with("/fault/")
}

/// What a path asks; a trap comes at once.
#[expect(clippy::panic, reason = "the fault that tests ask for")]
pub(crate) fn asked(path: &str) -> Result<Fault, ApiError> {
    let is = |url: &str| url.strip_prefix("http://object") == Some(path);
    if is(TRAP_URL) {
        panic!("a trap was asked for");
    }
    if is(HOLD_URL) {
        Ok(Fault::Hold)
    } else if is(LOOK_URL) {
        Ok(Fault::Look)
    } else {
        Err(ApiError::not_found("fault"))
    }
}

/// Does what a test asks.
pub(crate) async fn fault<M: Machine>(shell: &Shell<M>, fault: Fault) -> Response {
    match fault {
        Fault::Hold => {
            worker::Delay::from(HOLD_TIME).await;
            http::json(200, &())
        }
        Fault::Look => match look(shell).await {
            Ok(seen) => http::json(200, &seen),
            Err(error) => object::refused(&error.into()),
        },
    }
}

#[derive(Serialize)]
struct Wake {
    key: String,
    at: Timestamp,
}
columns!(Wake: key, at);

/// Does what a test asks of an object that hosts no actor: it has an alarm and nothing to wake.
pub(crate) async fn of_no_actor(alarm: &Alarm, fault: Fault) -> Response {
    match fault {
        Fault::Hold => {
            worker::Delay::from(HOLD_TIME).await;
            http::json(200, &())
        }
        Fault::Look => match alarm.get().await {
            Ok(alarm) => http::json(200, &json!({ "alarm": alarm, "wakes": [], "actors": [] })),
            Err(error) => object::refused(&ShellError::from(error).into()),
        },
    }
}

/// The alarm, when which actor wakes at the earliest, and the actors as the object knows them.
async fn look<M: Machine>(shell: &Shell<M>) -> Result<Value, ShellError> {
    let keys: Vec<KeyRow> = shell
        .sql
        .rows("SELECT key FROM actors ORDER BY key LIMIT 1000", &[])?;
    let mut actors = Vec::new();
    for KeyRow { key } in keys {
        actors.push(serde_json::to_value(shell.load(&key)?).unwrap_or_default());
    }
    let wakes: Vec<Wake> = shell
        .sql
        .rows("SELECT key, at FROM wakes ORDER BY key LIMIT 1000", &[])?;
    let alarm = shell.alarm.get().await?;
    Ok(json!({ "alarm": alarm, "wakes": wakes, "actors": actors }))
}
