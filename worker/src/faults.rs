//! Faults on demand, in a build of their own that is never deployed.
//!
//! - `POST /__fault/trap`: this instance of the Worker traps.
//! - `POST /__fault/hold`: a request that stays in flight for a minute.
//! - `POST /__fault/trap/{class}/{name}` and `/__fault/hold/{class}/{name}`: the same in an object.

use std::time::Duration;

use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_platform::http;
use sam_platform::objects::{Class, Object};

use crate::call::Call;
use crate::errors::Answer;

const PREFIX: &str = "/__fault/";
const HELD: Duration = Duration::from_secs(60);

/// Answers a request for a fault; `None` for any other.
pub(crate) async fn answer(call: &Call) -> Option<Answer> {
    let rest = call.url.path().strip_prefix(PREFIX)?;
    let words: Vec<&str> = rest.split('/').collect();
    Some(match words.as_slice() {
        ["trap"] => trap(),
        ["hold"] => {
            worker::Delay::from(HELD).await;
            Ok(http::json(200, &Done {}))
        }
        ["trap", class, name] => in_object(call, class, name, true).await,
        ["hold", class, name] => in_object(call, class, name, false).await,
        _ => Err(ApiError::not_found("fault").into()),
    })
}

fn trap() -> Answer {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    Err(ApiError::internal().into())
}

async fn in_object(call: &Call, class: &str, name: &str, trap: bool) -> Answer {
    let class = match class {
        "ProjectData" => Class::ProjectData,
        "TaskRunner" => Class::TaskRunner,
        "NodeLifecycle" => Class::NodeLifecycle,
        "NodePool" => Class::NodePool,
        _ => return Err(ApiError::not_found("class").into()),
    };
    let object = Object::named(&call.env, class, name)?;
    if trap {
        object.trap().await?;
    } else {
        object.hold().await?;
    }
    Ok(http::json(200, &Done {}))
}
